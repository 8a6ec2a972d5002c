"""Ask from the terminal: ``python -m search "问题"``; ``python -m search verify 证据.json``."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from index.terminal import Parser, add_library, run
from search import records
from search.citation import cite
from search.compare import Row, best_first, compare
from search.evidence import read_pack, verify
from search.pipeline import open_once, search
from search.types import Results


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask one question; return the exit code: 0, or 1 after a Chinese sentence on stderr."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["verify"]:
        return _verify(words[1:])
    parser = Parser("python -m search", "用中文问报告")
    parser.add_argument("question", metavar="问题")
    add_library(parser)
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="最多几段，默认 5")
    parser.add_argument("--compare", action="store_true", help="逐份对比：每份报告一行")
    for name, metavar, type, text in (
        ("document", "报告", str, "只查这份报告（文件名或标题）"),
        ("region", "地区", str, "只查这个地区的报告"),
        ("year", "年度", int, "只查这个年度的报告"),
        ("kind", "性质", str, "只查这种性质的段落：已完成、不足、履职、计划或其他"),
    ):
        parser.add_argument(
            f"--{name}", action="append", type=type, metavar=metavar, help=f"{text}；可多次给出"
        )
    parser.add_argument("--json", action="store_true", help="输出 JSON")
    given = parser.parse_args(words)

    def command() -> int:
        where: dict[str, Any] = {
            "documents": given.document,
            "regions": given.region,
            "years": given.year,
            "kinds": given.kind,
            "library": given.library,
        }
        if given.compare:
            rows = compare(given.question, **where)
            print(_json([records.of_row(row) for row in rows]) if given.json else _compared(rows))
        else:
            results = search(given.question, top_k=given.top_k, **where)
            print(_json(records.of_results(results)) if given.json else _plain(results))
        return 0

    return run(command)


def _verify(words: Sequence[str]) -> int:
    """Check an exported pack: a line for each quote; 1 if one is no longer where it stood."""
    parser = Parser("python -m search verify", "核对导出的证据：每段话还在不在资料库里")
    parser.add_argument("pack", type=Path, metavar="证据.json")
    add_library(parser)
    parser.add_argument("--json", action="store_true", help="输出 JSON")
    given = parser.parse_args(words)

    def command() -> int:
        found = verify(read_pack(given.pack), open_once(given.library))
        if given.json:
            print(_json([asdict(each) for each in found]))
        else:
            for number, each in enumerate(found, 1):
                print(f"{number}. {each.verdict}：{_shortened(each.text)}\n   —— {each.citation}")
                if each.now:
                    print(f"   现在在：{each.now}")
        return 0 if all(each.verdict == "一致" for each in found) else 1

    return run(command)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:40]}……"


def _compared(rows: Sequence[Row]) -> str:
    """Return a line for each report: its number and sentence, and the citation below."""
    lines = []
    for row in best_first(rows):
        name = row.document.title or row.document.name
        if row.hit is None:
            lines.append(f"{name}：没有说到")
            continue
        sentence = row.hit.text[slice(*row.hit.marks[0])]
        number = f"{row.number}。" if row.number else ""
        lines += [f"{name}：{number}[{row.hit.kind}] {sentence}", f"   —— {row.hit.citation}"]
    return "\n".join(lines)


def _plain(results: Results) -> str:
    lines = [f"{results.notice}\n"] if results.notice else []
    if results.answer:
        said = results.answer
        lines += [
            f"回答：{said.text}（把握 {said.confidence:.0%}）",
            f"   —— {said.hit.citation}\n",
        ]
    for rank, hit in enumerate(results, 1):
        joined = "" if hit.verbatim else "（分行拼接）"
        lines += [*hit.header, f"{rank}. [{hit.kind}] {hit.text}{joined}", f"   —— {hit.citation}"]
        lines += [f"   同样的话还见于：{cite(passage)}" for passage in hit.also]
        lines.append("")
    return "\n".join(lines).rstrip()


def _json(record: object) -> str:
    text = json.dumps(record, ensure_ascii=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode()  # bytes of the shell that are no text


if __name__ == "__main__":
    raise SystemExit(main())
