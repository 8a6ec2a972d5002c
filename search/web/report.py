"""A whole report as HTML: its outline, its text, and where the script shows the hits."""

import itertools
from collections.abc import Sequence

from index.types import Document, Passage, Section
from search.web import markup
from search.web.markup import escape


def report(document: Document, parts: Sequence[Section | Passage]) -> str:
    """Return a report with its outline; ``parts`` are its headings and passages in order."""
    headings = [part for part in parts if isinstance(part, Section)]
    title = escape(markup.name(document))
    return (
        f'<div class="yj yj-book" data-document="{document.sha256}" data-name="{title}">'
        f'<div class="yj-tools"><strong>{title}</strong><span class="yj-walk" hidden>'
        '<button type="button" class="yj-step" data-step="-1">上一处</button>'
        '<span class="yj-count" role="status"></span>'
        '<button type="button" class="yj-step" data-step="1">下一处</button></span></div>'
        f"{_outline(headings)}"
        '<div class="yj-body"><div class="yj-pane" tabindex="0" role="region" aria-label="报告全文">'
        f'<div class="yj-report">{_text(parts)}</div></div>'
        '<div class="yj-strip" role="group" aria-label="各处在报告里的位置"></div></div></div>'
    )


def _outline(headings: Sequence[Section]) -> str:
    """Return the headings as a tree of buttons, folded away until it is wanted."""
    if not headings:
        return ""
    tree = _tree(list(enumerate(headings)))
    return f'<details class="yj-outline"><summary>目录</summary><nav aria-label="目录">{tree}</nav></details>'


def _tree(headings: Sequence[tuple[int, Section]]) -> str:
    """Return numbered headings as a list, what stands below one inside it."""
    groups: list[list[tuple[int, Section]]] = []
    for each in headings:
        if not groups or each[1].level <= groups[0][0][1].level:
            groups.append([])
        groups[-1].append(each)
    items = (
        f'<li><button type="button" data-heading="{number}">{escape(heading.path[-1])}</button>'
        f"{_tree(below) if below else ''}</li>"
        for (number, heading), *below in groups
    )
    return f"<ul>{''.join(items)}</ul>"


def _text(parts: Sequence[Section | Passage]) -> str:
    lines: list[str] = []
    numbers = itertools.count()
    page = None
    for part in parts:
        if isinstance(part, Section):
            level = min(part.level + 1, 6)
            lines.append(
                f'<h{level} data-heading="{next(numbers)}">{escape(part.path[-1])}</h{level}>'
            )
            continue
        if part.page and part.page != page:
            page = part.page
            lines.append(f'<div class="yj-page">第 {page} 页</div>')
        lines.append(
            f'<p data-number="{part.number}"><i>{part.number}</i><span>{escape(part.text)}</span></p>'
        )
    return "".join(lines)
