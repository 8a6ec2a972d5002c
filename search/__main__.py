"""Ask from the terminal: ``python -m search "问题"``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index.terminal import Parser, metadata, run
from search.citation import cite
from search.compare import Row, best_first, compare
from search.pipeline import search
from search.types import Answer, Hit, Results


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask one question; return the exit code: 0, or 1 after a Chinese sentence on stderr."""
    parser = Parser("python -m search", "用中文问报告")
    parser.add_argument("question", metavar="问题")
    parser.add_argument("--library", type=Path, metavar="文件夹", help="资料库的位置")
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
    given = parser.parse_args(arguments)

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
            print(_compared_json(rows) if given.json else _compared(rows))
        else:
            results = search(given.question, top_k=given.top_k, **where)
            print(_json(results) if given.json else _plain(results))
        return 0

    return run(command)


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


def _compared_json(rows: Sequence[Row]) -> str:
    shown = [
        {
            "document": metadata(row.document),
            "number": row.number,
            "hit": _fields(row.hit) if row.hit else None,
        }
        for row in rows
    ]
    return json.dumps(shown, ensure_ascii=False, indent=2)


def _plain(results: Results) -> str:
    lines = [] if results.found else ["报告中没有找到依据。"]
    if results and not results.found:
        lines.append("以下段落仅供参考，不能作为依据：\n")
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


def _json(results: Results) -> str:
    shown = {
        "query": results.query,
        "found": results.found,
        "confidence": results.confidence,
        "answer": _answer(results.answer) if results.answer else None,
        "hits": [_fields(hit) for hit in results],
    }
    return json.dumps(shown, ensure_ascii=False, indent=2)


def _answer(answer: Answer) -> dict[str, object]:
    names = ("text", "start", "end", "confidence")
    return {**{name: getattr(answer, name) for name in names}, "citation": answer.hit.citation}


def _fields(hit: Hit) -> dict[str, object]:
    names = ("text", "score", "citation", "section", "kind", "paragraph", "page", "spans", "marks")
    return {
        **{name: getattr(hit, name) for name in names},
        "verbatim": hit.verbatim,
        "header": hit.header,
        "also": [cite(passage) for passage in hit.also],
        "document": metadata(hit.document),
    }


if __name__ == "__main__":
    raise SystemExit(main())
