"""``python -m tests.benchmarks``: measure, then write the tables and the plot."""

import argparse
import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from index.library import DEFAULT_REPORTS
from tests.benchmarks.libraries import How, built
from tests.benchmarks.process import ROOT, apart
from tests.benchmarks.report import SETS, Results, keep, plot, tables

PARTS = ("limits", "sizes", "peers")
SIZES = (40, 1_000, 10_000, 100_000, 1_000_000)
_FIRST_QUESTION = "行政复议受理了多少件？"
_PACKAGES = (
    "onnxruntime",
    "faiss-cpu",
    "numpy",
    "torch",
    "sentence-transformers",
    "txtai",
    "llama-index-core",
    "haystack-ai",
    "bm25s",
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The options, and what was measured so far: kept after each step."""

    given: argparse.Namespace
    results: Results

    def step(self, name: str, run: Callable[[], Any]) -> Any:
        """Run a step and return what it gives; None if it fails, which is told and kept."""
        print(f"{datetime.now():%H:%M:%S} {name}", flush=True)
        failed = self.results.setdefault("failed", {})
        failed.pop(name, None)
        try:
            return run()
        except (RuntimeError, OSError) as exc:
            print(f"  failed: {exc}", flush=True)
            failed[name] = str(exc).strip().splitlines()[-1][:200]
            return None
        finally:
            self.save()

    def save(self) -> None:
        """Write what was measured, whole or not at all."""
        part = self.given.work / "results.part"
        part.write_text(json.dumps(self.results, ensure_ascii=False, indent=1), "utf-8")
        part.replace(self.given.work / "results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; return the exit code."""
    given = _options(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    known = given.work / "results.json"
    bench = Bench(given, json.loads(known.read_text("utf-8")) if known.is_file() else {})
    bench.results["machine"] = _machine()
    parts = {"limits": _limits, "sizes": _sizes, "peers": _peers}
    for part in given.parts or PARTS:
        if part in parts:
            parts[part](bench)
    bench.save()
    _report(bench)
    return 1 if bench.results.get("failed") else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description="量速度、大小和好坏")
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, "draw"], help="量哪些，不给就是全部；draw 只重画"
    )
    parser.add_argument("--sizes", default=SIZES, type=_numbers, help="资料库的段落数，逗号隔开")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "yiju-benchmarks",
        help="放资料库和结果的文件夹，已建好的会再用",
    )
    parser.add_argument(
        "--shared",
        type=Path,
        default=ROOT.parent / "shared",
        help="有 reports、train、eval 的文件夹",
    )
    parser.add_argument("--encode-up-to", type=int, default=10_000, help="到多少段为止真的编码")
    parser.add_argument("--full-up-to", type=int, default=100_000, help="到多少段为止保留全部片段")
    parser.add_argument("--runs", type=int, default=5, help="冷启动量几次")
    parser.add_argument("--questions", type=int, default=0, help="每种问几题，0 是全部")
    parser.add_argument(
        "--peers", type=lambda text: text.split(","), help="量哪些程序，逗号隔开，不给就是全部"
    )
    parser.add_argument(
        "--sets",
        type=lambda text: text.split(","),
        default=list(SETS),
        help="在哪些题上比，逗号隔开",
    )
    parser.add_argument(
        "--keep", action="store_true", help="把表写进 README，把图和数据放进 .github"
    )
    given = parser.parse_args(arguments)  # fmt: skip
    given.work, given.shared = given.work.absolute(), given.shared.absolute()
    return given


def _numbers(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


def _limits(bench: Bench) -> None:
    for threads in sorted({1, _cores()}):
        own = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        load = os.getloadavg()[0]
        found = bench.step(
            f"limits {threads}", lambda n=threads, e=own: apart("limits:measure", environment=e, threads=n)
        )  # fmt: skip
        if found:
            bench.results.setdefault("limits", {})[str(threads)] = {**found, "load": load}


def _sizes(bench: Bench) -> None:
    given = bench.given
    if any(size > given.encode_up_to for size in given.sizes):
        bench.step(f"build {given.encode_up_to}", lambda: _library(given, given.encode_up_to))
    for size in given.sizes:
        made = bench.step(f"build {size}", lambda s=size: _library(given, s))
        if made:
            folder, build = made
            load = os.getloadavg()[0]
            size_results = {"build": build, "load": load}
            size_results["cold"] = (
                bench.step(f"cold {size}", lambda f=folder: _cold(given, f)) or []
            )
            size_results["warm"] = bench.step(f"warm {size}", lambda f=folder: _warm(given, f))
            whole = size_results["cold"] and size_results["warm"]
            if whole:
                bench.results.setdefault("sizes", {})[str(size)] = size_results


def _library(given: argparse.Namespace, size: int) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a library and what it took to build, now or before."""
    how: How = "thin" if size > given.full_up_to else "copied"
    base = 0 if size <= given.encode_up_to else given.encode_up_to
    how = how if base else "encoded"
    folder = given.work / f"{how}-{size}" if not base else given.work / f"{how}-{size}-of-{base}"
    known = built(folder)
    if known is None:
        given_to = {"vectors": given.work / "vectors", "shared": given.shared, "base": base}
        known = apart("libraries:build", folder=folder, size=size, how=how, **given_to)
        folder.with_name(f"{folder.name}.json").write_text(json.dumps(known), "utf-8")
    return folder, known


def _cold(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    return [
        apart("stages:cold", library=folder, question=_FIRST_QUESTION) for _ in range(given.runs)
    ]


def _warm(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    questions = given.shared / "eval" / "zhengzhou-dev.jsonl"
    return apart("stages:warm", library=folder, questions=questions, limit=given.questions)


def _peers(bench: Bench) -> None:
    if importlib.util.find_spec("txtai") is None:
        bench.step("peers", _not_installed)
        return
    from tests.benchmarks.peers import PEERS

    given, evaluation = bench.given, bench.given.shared / "eval"
    model = given.work / "model"
    near = bench.step("export", lambda: apart("export:export", folder=model))
    if near is None:
        return
    bench.results["exported"] = near
    files = {
        "zhengzhou": (DEFAULT_REPORTS / "zhengzhou-2019.md", evaluation / "zhengzhou-dev.jsonl"),
        "policy": (evaluation / "policy.passages.jsonl", evaluation / "policy.queries.jsonl"),
    }
    for name in given.sets:
        for peer in given.peers or PEERS:
            found = bench.step(
                f"{name} {peer}", lambda p=peer, n=name: _peer(given, p, n, *files[n])
            )
            if found:
                rows = bench.results.setdefault("peers", {}).setdefault(name, {})
                rows[peer] = {**found, "setting": PEERS[peer].setting}


def _not_installed() -> None:
    raise OSError("the other programs are missing: pip install -e '.[bench]'")


def _peer(
    given: argparse.Namespace, peer: str, name: str, corpus: Path, questions: Path
) -> dict[str, Any]:
    own = {
        "peer": peer,
        "model": given.work / "model",
        "folder": given.work / "peers" / name / peer.replace(" ", "-"),
    }
    build = apart("peers:measure_build", corpus=corpus, **own)
    cold = [apart("peers:measure_cold", question=_FIRST_QUESTION, **own) for _ in range(given.runs)]
    asked = apart("peers:measure_questions", questions=questions, limit=given.questions, **own)
    return {"build": build, "cold": cold, "asked": asked, "load": os.getloadavg()[0]}


def _report(bench: Bench) -> None:
    written = tables(bench.results)
    (bench.given.work / "tables.md").write_text(written + "\n", "utf-8")
    print(f"\n{written}\n\n{bench.given.work}")
    if importlib.util.find_spec("matplotlib") is None:
        print("no plot: pip install -e '.[bench]'")
        return
    plot(bench.results, bench.given.work / "benchmarks.png")
    if bench.given.keep:
        keep(written, ROOT / "README.md")
        plot(bench.results, ROOT / ".github" / "benchmarks.png")
        (ROOT / ".github" / "benchmarks.json").write_text(
            json.dumps(bench.results, ensure_ascii=False), "utf-8"
        )


def _machine() -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "versions": {name: _version(name) for name in _PACKAGES if _version(name)},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def _cores() -> int:
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
