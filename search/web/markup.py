"""What the parts of the page share: text made safe, marks, badges, buttons."""

import html
import itertools
import re
from collections.abc import Sequence

from index.tables import labelled
from index.types import Kind, Passage, Report, Span
from search.citation import STYLES, cite, reference

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Escape for HTML; characters that turn the direction of writing are dropped for display."""
    return html.escape(_BIDI.sub("", text), quote=True)


def marked(text: str, marks: Sequence[Span]) -> str:
    """Return text as HTML with its spans marked, what lies in two of them stronger."""
    cuts = sorted({0, len(text), *(place for span in marks for place in span)})
    pieces = []
    for start, end in itertools.pairwise(cuts):
        piece = escape(text[start:end])
        depth = sum(a <= start and end <= b for a, b in marks)
        if depth:
            piece = f"<mark>{f'<b>{piece}</b>' if depth > 1 else piece}</mark>"
        pieces.append(piece)
    return "".join(pieces)


def note(sentence: str) -> str:
    """Return a sentence to the user."""
    return f'<p class="yj-note" role="status">{escape(sentence)}</p>'


def badge(kind: Kind) -> str:
    """Return the kind of a section: told by its word, its colour and its border."""
    return f'<span class="yj-kind {kind}">{kind}</span>'


def name(document: Report) -> str:
    """Return the title of a report, with its issuer if that is not part of it."""
    title = document.title or document.name
    issuer = document.issuer or ""
    return title if title.startswith(issuer) else f"{issuer}《{title}》"


def joined(passage: Passage) -> str:
    """Return how a passage stands in its report: in one piece, or joined over lines or pages."""
    between = [passage.document.text[a:b] for (_, a), (b, _) in itertools.pairwise(passage.spans)]
    if not between:
        return "逐字"
    pages = {passage.document.page(start) for start, _ in passage.spans}
    over = len(pages) > 1 or any(text.strip() for text in between)
    return "跨页拼接" if over else "分行拼接"


def text_of(passage: Passage, marks: Sequence[Span] = ()) -> str:
    """Return a passage as HTML: marked text, or the cells of a row with what they stand under."""
    if not passage.header:
        return marked(passage.text, marks)
    cells = "".join(
        f"<dt>{escape(cell.under)}</dt><dd>{escape(cell.text)}</dd>" for cell in labelled(passage)
    )
    unit = "".join(escape(line) for line in passage.header_text if not line.startswith("|"))
    return f'{unit}<dl class="yj-row">{cells}</dl>'


def jump(passage: Passage) -> str:
    """Return the attributes by which the script finds a passage in its report."""
    return f' data-document="{passage.document.sha256}" data-number="{passage.number}"'


def citation(passage: Passage, *, keep: bool = True) -> str:
    """Return the citation with its buttons, and its other forms for the script to copy."""
    forms = "".join(
        f'<template data-style="{style}">{escape(reference(passage, style))}</template>'
        for style in STYLES
    )
    add = '<button type="button" class="yj-keep">加入证据</button>' if keep else ""
    return (
        f'<div class="yj-cite"><cite>{escape(cite(passage))}</cite><span class="yj-buttons">'
        '<button type="button" class="yj-jump">原文</button>'
        f'<button type="button" class="yj-copy">复制引文</button>{add}</span>{forms}</div>'
    )


def styles() -> str:
    """Return the choice of the form in which citations are copied."""
    options = "".join(f"<option>{style}</option>" for style in STYLES)
    return (
        '<label class="yj-style">引文格式 <select class="yj-styles" autocomplete="off">'
        f"{options}</select></label>"
    )
