"""The tables, in Markdown, and the plot of what was measured."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from index.e5 import DIM
from tests.benchmarks.limits import encoder_flops
from tests.benchmarks.stages import COLD, WARM, quantiles

Results = dict[str, Any]
"""What ``__main__`` keeps: ``machine``, ``limits`` by threads, ``sizes``, ``peers`` by set."""

OWN = "依据"
STAGES = {
    "process": "启动进程",
    "import": "导入",
    "models": "载入模型",
    "library": "打开资料库",
    "prepare": "其余准备",
    "embed": "编码问题",
    "retrieve": "检索",
    "read": "读段落",
    "other": "其余",
    "total": "合计",
}
SETS = {"zhengzhou": "郑州报告（zhengzhou-dev）", "policy": "240 篇政策文件（policy）"}
HOW = {
    "encoded": "真实编码",
    "copied": "改写的副本，向量是原向量加噪声",
    "thin": "改写的副本，向量是原向量加噪声，每段只留一两个片段",
}
_BEGIN, _END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
_FONTS = ["Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "DejaVu Sans"]


def tables(results: Results) -> str:
    """Return all tables of what was measured, with what must be known to read them."""
    sizes = _measured(results)
    parts = [_machine(results)]
    if sizes:
        parts += [_cold(sizes), _warm(sizes), _build(sizes)]
    if sizes and results.get("limits"):
        parts.append(_limits(sizes, results["limits"]))
    parts += [_peers(SETS[name], rows) for name, rows in results.get("peers", {}).items()]
    failed = [
        f"- 没有量成：{name}：{why}" for name, why in sorted(results.get("failed", {}).items())
    ]
    return "\n\n".join([*parts, *(["\n".join(failed)] if failed else [])])


def keep(tables: str, readme: Path) -> None:
    """Put the tables between the marks in a README. Raises ``ValueError`` if it has no marks."""
    text = readme.read_text("utf-8")
    marked = re.compile(f"(?<={_BEGIN}\n).*?(?={_END})", re.S)
    if not marked.search(text):
        raise ValueError(f"{readme} has no {_BEGIN} … {_END}")
    readme.write_text(marked.sub(lambda _: f"\n{tables}\n\n", text), "utf-8")


def _measured(results: Results) -> dict[int, Results]:
    """Return the sizes that were measured whole, by the passages that they really have."""
    whole = [
        size for size in results.get("sizes", {}).values() if {"build", "warm", "cold"} <= {*size}
    ]
    return {
        size["build"]["passages"]: size
        for size in sorted(whole, key=lambda s: s["build"]["passages"])
    }


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"**{title}**", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _machine(results: Results) -> str:
    known = results["machine"]
    loads = [part["load"] for part in (*results.get("sizes", {}).values(), *results.get("limits", {}).values()) if "load" in part]  # fmt: skip
    busy = f"，各项开始时的平均负载 {min(loads):.1f} 到 {max(loads):.1f}" if loads else ""
    versions = "、".join(f"{name} {version}" for name, version in known["versions"].items())
    return f"{known['date']}，{known['cpu']}，{known['cores']} 核，{known['memory_gb']:.0f} GB 内存{busy}。{versions}。"


def _cold(sizes: dict[int, Results]) -> str:
    rows = []
    for count, size in sizes.items():
        found = _cold_medians(size)
        rows.append([f"{count:,}", *(_ms(found[stage]) for stage in (*COLD, "total"))])
    runs = min(len(size["cold"]) for size in sizes.values())
    title = (
        f"冷启动到第一个答案，毫秒（每次一个新进程，{runs} 次以上的中位数，文件已在系统的缓存里）"
    )
    return _table(title, ["段落", *(STAGES[s] for s in (*COLD, "total"))], rows)


def _cold_medians(size: Results) -> dict[str, float]:
    return {s: median(run["stages"][s] for run in size["cold"]) for s in (*COLD, "total")}


def _warm(sizes: dict[int, Results]) -> str:
    rows = []
    for count, size in sizes.items():
        each = (quantiles(size["warm"]["stages"][stage]) for stage in (*WARM, "total"))
        figures = [f"{_ms(q['p50'])} / {_ms(q['p99'])}" for q in each]
        asked = str(size["warm"]["questions"])
        share = f"{median(size['warm']['beside']):.2f}"
        rows.append([f"{count:,}", asked, *figures, share, f"{size['warm']['hit_1']:.3f}"])
    heads = ["段落", "题数", *(STAGES[s] for s in (*WARM, "total")), "检索和其余占编码", "hit@1"]
    title = (
        "已打开的资料库里用 search() 问一个问题，毫秒（p50 / p99；占编码的份额按每题算，取中位数）"
    )
    return _table(title, heads, rows)


def _build(sizes: dict[int, Results]) -> str:
    rows = []
    for count, size in sizes.items():
        build, warm = size["build"], size["warm"]
        encoded = build["how"] == "encoded" and build["written"]
        disk = sum(build["bytes"].values()) / count / 1024
        rows.append([
            f"{count:,}",
            HOW[build["how"]],
            f"{build['documents']:,}",
            f"{build['segments']:,}",
            f"{build['written'] / build['seconds']:.1f}" if build["written"] else "—",
            f"{build['encoding'] / build['seconds']:.2f}" if encoded else "—",
            f"{build['publishing']:.1f}",
            f"{build['peak_mb']:.0f}",
            f"{warm['peak_mb']:.0f}（{warm['end_mb']:.0f}）",
            f"{disk:.1f}",
        ])  # fmt: skip
    heads = ["段落", "向量", "报告", "片段", "每秒段落", "编码占比", "写索引，秒", "建库内存，MB", "查询内存，MB", "每段磁盘，KB"]  # fmt: skip
    return _table("建库、内存和磁盘（内存是峰值，括号里不含映射的文件）", heads, rows)


def limits_of(size: Results, limits: Results) -> dict[str, float]:
    """Return the seconds that embedding, scanning all vectors once and reading must take.

    The encoder's at the machine's best rate for products, of 8 bits or of 32, on the one thread that
    embeds a question and on all that read; the vectors' as float32 at the rate of reading memory.
    """
    one, every = limits["1"], limits[max(limits, key=int)]
    tokens = size["warm"]["tokens"]
    embed = encoder_flops(tokens["embed"], tokens["embed_squares"])
    read = encoder_flops(tokens["read"], tokens["read_squares"])
    scanned = size["build"]["segments"] * DIM * 4
    return {
        "embed": embed / max(one["float32"], one["int8"]) / 1e9,
        "retrieve": scanned / max(one["read"], every["read"]) / 1e9,
        "read": read / max(every["float32"], every["int8"]) / 1e9,
    }


def _limits(sizes: dict[int, Results], limits: Results) -> str:
    rows = []
    for count, size in sizes.items():
        least = limits_of(size, limits)
        for stage, bound in least.items():
            spent = mean(size["warm"]["stages"][stage])
            rows.append(
                [f"{count:,}", STAGES[stage], _ms(spent), _ms(bound), f"{spent / bound:.1f}"]
            )
    rates = "；".join(
        f"{n} 个线程：矩阵乘 float32 {r['float32']:.0f}、8 位 {r['int8']:.0f} GFLOP/s，读内存 {r['read']:.1f} GB/s"
        for n, r in sorted(limits.items())
    )
    table = _table("与机器的极限相比，毫秒", ["段落", "环节", "平均", "极限", "倍数"], rows)
    return f"{table}\n\n同一次量得的极限：{rates}。编码的极限是运算量除以矩阵乘的速度，检索的极限是把全部向量（float32）读一遍（片段多了只读一部分的编码，所以可以不到 1 倍），读段落的极限按平均读的词元算。"


def _peers(title: str, rows: dict[str, Results]) -> str:
    whole = {name: row for name, row in rows.items() if {"build", "cold", "asked"} <= row.keys()}
    own = whole.get(OWN)
    lines = []
    for name, row in whole.items():
        ranks, warm = row["asked"]["ranks"], quantiles(row["asked"]["warm"])["p50"]
        ratio = f"（{warm / quantiles(own['asked']['warm'])['p50']:.2g} 倍）" if own else ""
        lines.append([
            name,
            f"{sum(rank == 1 for rank in ranks) / len(ranks):.3f}",
            f"{sum(1 / rank for rank in ranks if rank) / len(ranks):.3f}",
            f"{_ms(warm)}{ratio}",
            f"{median(row['cold']):.2f}",
            f"{row['build']['build']:.1f}",
            f"{row['asked']['peak_mb']:.0f}",
            f"{row['asked']['length']:.0f}",
            row["setting"],
        ])  # fmt: skip
    heads = ["程序", "hit@1", "MRR", "问一题 p50，毫秒", "冷启动，秒", "建库，秒", "查询内存，MB", "第一段的字数", "怎样用"]  # fmt: skip
    return _table(f"与别的程序相比：{title}", heads, lines)


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.2g}"


def plot(results: Results, file: Path) -> None:
    """Draw cost against size, with the limits beside it: questions, cold starts, memory and disk."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager
    from matplotlib import pyplot as plt

    known = {font.name for font in font_manager.fontManager.ttflist}
    plt.rcParams["font.family"] = [font for font in _FONTS if font in known]
    sizes = _measured(results)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    _plot_questions(left, sizes, results.get("limits"))
    _plot_cold(middle, sizes)
    _plot_memory(right, sizes)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _plot_questions(axes: Any, sizes: dict[int, Results], limits: Results | None) -> None:
    counts = list(sizes)
    colours = {"embed": "C0", "retrieve": "C1", "read": "C2", "total": "0.3"}
    for stage, colour in colours.items():
        spent = [1000 * mean(size["warm"]["stages"][stage]) for size in sizes.values()]
        axes.plot(counts, spent, "o-", color=colour, label=STAGES[stage])
        if limits and stage != "total":
            least = [1000 * limits_of(size, limits)[stage] for size in sizes.values()]
            axes.plot(counts, least, ":", color=colour, label=f"{STAGES[stage]}的极限")
    axes.set(xscale="log", yscale="log", xlabel="段落", title="问一个问题，平均毫秒")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _plot_cold(axes: Any, sizes: dict[int, Results]) -> None:
    names = [f"{count:,}" for count in sizes]
    medians = [_cold_medians(size) for size in sizes.values()]
    under = [0.0] * len(names)
    for stage in COLD:
        height = [found[stage] for found in medians]
        axes.bar(names, height, bottom=under, label=STAGES[stage], width=0.6)
        under = [low + more for low, more in zip(under, height, strict=True)]
    axes.set(xlabel="段落", title="冷启动到第一个答案，秒")
    axes.legend(fontsize=8)


def _plot_memory(axes: Any, sizes: dict[int, Results]) -> None:
    counts = list(sizes)
    lines = {
        "查询内存": [size["warm"]["peak_mb"] for size in sizes.values()],
        "建库内存": [size["build"]["peak_mb"] for size in sizes.values()],
        "磁盘": [sum(size["build"]["bytes"].values()) / 2**20 for size in sizes.values()],
    }
    for name, values in lines.items():
        axes.plot(counts, values, "o-", label=name)
    vectors = [size["build"]["segments"] * DIM * 4 / 2**20 for size in sizes.values()]
    axes.plot(counts, vectors, ":", color="0.3", label="向量本身（float32）")
    axes.set(xscale="log", yscale="log", xlabel="段落", title="内存和磁盘，MB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
