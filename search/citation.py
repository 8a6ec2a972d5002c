"""The citation of a passage."""

from index.types import Document, Passage


def cite(passage: Passage) -> str:
    """Return issuer《title》（number，date），section path，第N页，第N段.

    What the report does not state is left out. A field of the head or foot is cited by its name.
    """
    page = f"第{passage.page}页" if passage.page else ""
    parts = [_source(passage.document), _place(passage), page, f"第{passage.number}段"]
    return "，".join(part for part in parts if part)


def path_text(path: tuple[str, ...]) -> str:
    """Return a section path in one line: 一、举措 ›（二）优化."""
    return "".join(
        title if i == 0 else f" ›{'' if title[0] in '（(' else ' '}{title}"
        for i, title in enumerate(path)
    )


def _source(document: Document) -> str:
    title = document.title or document.name
    issuer = document.issuer or ""
    day = document.date
    date = f"{day.year}年{day.month}月{day.day}日" if day else None
    details = "，".join(filter(None, (document.doc_number, date)))
    named = "" if issuer and title.startswith(issuer) else issuer
    return f"{named}《{title}》" + (f"（{details}）" if details else "")


def _place(passage: Passage) -> str:
    role = passage.role if passage.role != "正文" else ""
    return "，".join(filter(None, (path_text(passage.path), role)))
