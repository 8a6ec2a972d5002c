"""Ask from the terminal: ``python -m search "问题"``."""

import json
from collections.abc import Sequence
from pathlib import Path

from index.terminal import Parser, run
from search.pipeline import search
from search.types import Hit, Results


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask one question; return the exit code: 0, or 1 after a Chinese sentence on stderr."""
    parser = Parser("python -m search", "用中文问报告")
    parser.add_argument("question", metavar="问题")
    parser.add_argument("--library", type=Path, metavar="文件夹", help="资料库的位置")
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="最多几段，默认 5")
    parser.add_argument("--json", action="store_true", help="输出 JSON")
    given = parser.parse_args(arguments)

    def command() -> int:
        results = search(given.question, top_k=given.top_k, library=given.library)
        print(_json(results) if given.json else _plain(results))
        return 0

    return run(command)


def _plain(results: Results) -> str:
    lines = [] if results.found else ["报告中没有找到依据。"]
    if results and not results.found:
        lines.append("以下段落仅供参考，不能作为依据：\n")
    for rank, hit in enumerate(results, 1):
        joined = "" if hit.verbatim else "（跨页拼接）"
        lines += [f"{rank}. [{hit.kind}] {hit.text}{joined}", f"   —— {hit.citation}\n"]
    return "\n".join(lines).rstrip()


def _json(results: Results) -> str:
    shown = {
        "query": results.query,
        "found": results.found,
        "hits": [_fields(hit) for hit in results],
    }
    return json.dumps(shown, ensure_ascii=False, indent=2)


def _fields(hit: Hit) -> dict[str, object]:
    names = ("text", "score", "citation", "section", "kind", "paragraph", "spans", "marks")
    document = {
        name: getattr(hit.document, name)
        for name in ("name", "title", "issuer", "doc_number", "signer", "addressee", "year")
    }
    return {
        **{name: getattr(hit, name) for name in names},
        "verbatim": hit.verbatim,
        "document": {
            **document,
            "date": hit.document.date and hit.document.date.isoformat(),
            "sha256": hit.document.sha256,
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
