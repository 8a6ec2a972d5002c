"""Web pages, by lxml: what a reader sees of them, a block a line, without what is there to click."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree, html

from index.errors import ReportError
from index.readers import damaged, table
from index.readers.text import decode
from index.types import Source

_SKIPPED = frozenset((
    "script", "style", "noscript", "template", "nav", "button", "select", "textarea", "svg", "iframe",
    "object", "audio", "video", "canvas", "head",
))  # fmt: skip
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "html", "legend", "li", "main", "ol", "p", "pre", "section", "summary", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_WHITE = re.compile(r"[ \t\r\n\f]+")  # what HTML folds; 　 and &nbsp; are the author's
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_SENTENCE = re.compile("[。！？；]")
_LINKED = 0.7  # a block with this share of its characters in links is a menu,
_LINKS = 3  # if there are so many
_MOST_CELLS = 20_000
_CELL = 200  # characters; a table with a longer cell lays out a page and holds no data
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*(gb[\w-]*)", re.I)


def read(data: bytes, name: str) -> Source:
    """Read a web page. Raises ``ReportError`` if there is no text in it."""
    text = _decode(data, name)
    try:
        parser = html.HTMLParser(huge_tree=True)  # for pages nested deeper than 256
        root = html.document_fromstring(re.sub(r"<\?xml[^>]*\?>", "", text, count=1), parser=parser)
        lines = list(_lines(root))
    except (etree.LxmlError, ValueError, AssertionError, RecursionError) as exc:
        raise damaged(name) from exc
    if not any(line.strip() for line in lines):
        raise ReportError(
            f"不能添加“{name}”：网页里没有正文，内容可能由脚本生成，请在浏览器里另存为文本后再添加。"
        )
    return Source("\n".join(lines))


def _decode(data: bytes, name: str) -> str:
    """Decode a page: UTF-8 if it is that, whatever it says; else as it says, single bad bytes aside."""
    if _CHARSET.search(data[:4096]):
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("gb18030", "replace")
    return decode(data, name)


def _lines(element: Any, prefix: str = "") -> Iterator[str]:
    """Yield the lines of an element: a run of inline content each, a row of a table each."""
    lines = _unmarked(element)
    first = next(lines, None)
    if first is not None:
        yield prefix + first
        yield from lines


def _unmarked(element: Any) -> Iterator[str]:
    run: list[str] = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not _hidden(child):
            nested = any(
                isinstance(d.tag, str) and d.tag in _BLOCKS for d in child.iterdescendants()
            )
            if child.tag == "br" or child.tag in _BLOCKS or nested:
                yield from _line(run)
                run = []
                yield from _block(child)
            else:
                run.append(_inline(child))
        run.append(child.tail or "")
    yield from _line(run)


def _block(element: Any) -> Iterator[str]:
    if _is_menu(element):
        return
    if element.tag == "table":
        yield from _table(element)
    elif element.tag == "pre":
        yield from (line for line in element.text_content().splitlines() if line.strip())
    elif element.tag == "li" and (before := element.getparent()) is not None and before.tag == "ol":
        start = before.get("start", "1")
        items = before.iterchildren("li")
        number = (int(start) if start.isdecimal() else 1) + list(items).index(element)
        yield from _lines(element, f"{number}. ")
    else:
        yield from _lines(element, _HEADINGS.get(element.tag, ""))


def _line(run: list[str]) -> Iterator[str]:
    text = _WHITE.sub(" ", "".join(run)).strip(" ")
    if text.strip():
        yield text


def _inline(element: Any) -> str:
    if element.tag == "br":
        return "\n"
    pieces = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not _hidden(child):
            pieces.append(_inline(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


def _hidden(element: Any) -> bool:
    return (
        element.tag in _SKIPPED
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(element.get("style", "")))
    )


def _is_menu(element: Any) -> bool:
    """Whether a block is there to click: no sentence in it, and nearly all of it links."""
    links = [link for link in element.iter("a") if link.get("href")]
    if len(links) < _LINKS:
        return False
    text = element.text_content()
    linked = sum(len("".join(link.text_content().split())) for link in links)
    return not _SENTENCE.search(text) and linked >= _LINKED * len("".join(text.split()))


def _table(element: Any) -> Iterator[str]:
    if element.find(".//table") is not None:  # it lays out the page
        yield from _lines(element)
        return
    grid = _grid(element)
    longest = max((len(cell) for row in grid for cell in row), default=0)
    if longest <= _CELL and table.is_table(grid):
        yield from ("", *table.lines(grid), "")
    else:
        yield from _lines(element)


def _grid(element: Any) -> list[list[str]]:
    """Return the cells; one that spans several rows is repeated in each."""
    grid: dict[tuple[int, int], str] = {}
    rows = [row for row in element.iter("tr") if not _hidden(row)]
    for y, row in enumerate(rows):
        x = 0
        for cell in row.iterchildren("td", "th"):
            while (y, x) in grid:
                x += 1
            text = "\n".join(_lines(cell))
            across, down = (_span(cell, name) for name in ("colspan", "rowspan"))
            if len(grid) + across * down > _MOST_CELLS:
                across = down = 1
            for j, i in itertools.product(range(down), range(across)):
                grid[y + j, x + i] = "" if i else text
            x += across
    width = max((x + 1 for _, x in grid), default=0)
    return [[grid.get((y, x), "") for x in range(width)] for y in range(len(rows))]


def _span(cell: Any, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(max(int(value), 1), 100) if value.isdecimal() else 1
