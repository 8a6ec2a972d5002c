"""The citation of a passage, in the forms that people and their programs use."""

import json
import re
from typing import Literal, get_args

from index.errors import ReportError
from index.types import Document, Passage

Style = Literal["文中注", "GB/T 7714", "Markdown", "BibTeX", "CSL-JSON"]
STYLES: tuple[Style, ...] = get_args(Style)


def cite(passage: Passage) -> str:
    """Return issuer《title》（number，date），section path，第N页，第N段.

    What the report does not state is left out. A field of the head or foot is cited by its name.
    """
    return "，".join((_source(passage.document), _place(passage)))


def reference(passage: Passage, style: Style) -> str:
    """Return a citation in one of ``STYLES``.

    文中注 is ``cite``; GB/T 7714—2015 is that of a report, 「[R]」; Markdown quotes the passage above its
    citation; BibTeX is a ``@techreport``, CSL-JSON a list of one ``report``. Raises ``ReportError`` if
    there is no such style.
    """
    if style not in STYLES:
        raise ReportError(f"没有引用格式“{style}”，请从{'、'.join(STYLES)}中选一种。")
    if style == "GB/T 7714":
        return _gbt(passage)
    if style == "Markdown":
        return (
            "".join(f"> {line}\n" for line in passage.text.splitlines())
            + f">\n> —— {cite(passage)}"
        )
    if style == "BibTeX":
        return _bibtex(passage)
    return _csl(passage) if style == "CSL-JSON" else cite(passage)


def path_text(path: tuple[str, ...]) -> str:
    """Return a section path in one line: 一、举措 ›（二）优化."""
    return "".join(
        title if i == 0 else f" ›{'' if title[0] in '（(' else ' '}{title}"
        for i, title in enumerate(path)
    )


def _gbt(passage: Passage) -> str:
    document = passage.document
    issuer = f"{document.issuer}. " if document.issuer else ""
    number = f": {document.doc_number}" if document.doc_number else ""
    date = document.date.isoformat() if document.date else str(document.year or "")
    where = _place(passage).replace("，", ", ")
    return f"{issuer}{_title(document)}{number}[R]. {date}{': ' if date else ''}{where}."


def _bibtex(passage: Passage) -> str:
    document = passage.document
    day = document.date
    fields = {
        "author": f"{{{_bare(document.issuer)}}}" if document.issuer else "",
        "title": f"{{{_bare(_title(document))}}}",
        "institution": _bare(document.issuer or ""),
        "number": _bare(document.doc_number or ""),
        "year": str(day.year if day else document.year or ""),
        "month": str(day.month) if day else "",
        "note": _bare(_place(passage)),
        "language": "chinese",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@techreport{{{_key(passage)},", *lines, "}"])


def _csl(passage: Passage) -> str:
    document = passage.document
    day = document.date
    date = [day.year, day.month, day.day] if day else [document.year] if document.year else []
    item = {
        "id": _key(passage),
        "type": "report",
        "title": _title(document),
        "author": [{"literal": document.issuer}] if document.issuer else [],
        "publisher": document.issuer,
        "number": document.doc_number,
        "issued": {"date-parts": [date]} if date else None,
        "page": str(passage.page) if passage.page else None,
        "note": _place(passage),
        "language": "zh-CN",
    }
    return json.dumps([{k: v for k, v in item.items() if v}], ensure_ascii=False, indent=2)


def _key(passage: Passage) -> str:
    return f"yiju-{passage.document.sha256[:8]}-{passage.number}"


def _bare(text: str) -> str:
    """Escape what BibTeX and LaTeX read as commands; braces and backslashes are dropped."""
    return re.sub(r"([%&$#_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _title(document: Document) -> str:
    return document.title or document.name


def _source(document: Document) -> str:
    title = _title(document)
    issuer = document.issuer or ""
    day = document.date
    date = f"{day.year}年{day.month}月{day.day}日" if day else None
    details = "，".join(filter(None, (document.doc_number, date)))
    named = "" if issuer and title.startswith(issuer) else issuer
    return f"{named}《{title}》" + (f"（{details}）" if details else "")


def _place(passage: Passage) -> str:
    role = passage.role if passage.role != "正文" else ""
    page = f"第{passage.page}页" if passage.page else ""
    return "，".join(filter(None, (path_text(passage.path), role, page, f"第{passage.number}段")))
