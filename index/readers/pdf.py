"""PDF with a text layer, by pdfplumber: printed lines put together to paragraphs, and tables.

Where a paragraph begins is seen from the page: a line begins one if it is indented, if the line
above it stops short of the margin, or if more white than usual is between the two. A paragraph that
goes on overleaf stays in two lines of the text.
"""

import itertools
import logging
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfplumber.utils.exceptions import PdfminerException

from index.errors import ReportError
from index.readers import damaged, table
from index.types import Source

_LEAST = 10  # characters a page on average; below it the pages are pictures with a word or two
_INDENT = 1.2  # widths of a character from the margin
_DEEPEST_INDENT = 4.0  # likewise; what begins farther in is centred
_SHORT = 2.2  # likewise from the right
_WIDE = 0.7  # of the longest line; lines as long show where the margins are
_SHOW_EDGE = 3  # lines that end alike show the right margin
_MOST_PAGES = 2000


@dataclass(frozen=True, slots=True)
class _Line:
    """A printed line, or a table between lines, in points from the left and top of its page."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of pages of one width, in points: where lines begin and end, the white between, the print."""

    margin: float
    edge: float
    gap: float
    size: float


def read(data: bytes, name: str) -> Source:
    """Read a PDF. Raises ``ReportError`` if it is damaged, encrypted or without a text layer."""
    logging.getLogger("pdfminer").setLevel(logging.ERROR)  # it tells of each odd font
    try:
        with pdfplumber.open(BytesIO(data)) as pdf:
            if len(pdf.pages) > _MOST_PAGES:
                raise ReportError(
                    f"不能读取“{name}”：有 {len(pdf.pages)} 页，超过 {_MOST_PAGES} 页，请拆分后再添加。"
                )
            pages = [_page(page) for page in pdf.pages]
            widths = [round(page.width) for page in pdf.pages]
        layouts = {
            width: _layout(
                width, [page for page, its in zip(pages, widths, strict=True) if its == width]
            )
            for width in set(widths)
        }
        source = _source(pages, [layouts[width] for width in widths])
    except ReportError:
        raise
    except Exception as exc:  # pdfminer raises whatever a broken file leads it to
        if isinstance(exc, PDFPasswordIncorrect) or (
            isinstance(exc, PdfminerException) and isinstance(exc.args[0], PDFPasswordIncorrect)
        ):
            raise ReportError(f"不能读取“{name}”：文件已加密，请去掉密码后再添加。") from exc
        raise damaged(name) from exc
    if not pages:
        raise damaged(name)
    if sum(len(line.text) for page in pages for line in page) < _LEAST * len(pages):
        raise ReportError(
            f"不能添加“{name}”：PDF 里没有文字层，多半是扫描件，请先做文字识别（OCR）再添加。"
        )
    return source


def _source(pages: Sequence[Sequence[_Line]], layouts: Sequence[_Layout]) -> Source:
    starts, texts, length = [], [], 0
    for lines, layout in zip(pages, layouts, strict=True):
        starts.append(length)
        texts.append("\n".join(_paragraphs(lines, layout)) + "\n\f")
        length += len(texts[-1])
    return Source("".join(texts), tuple(starts))


def _page(page: Any) -> list[_Line]:
    """Return the lines of a page from top to bottom, each table as one."""
    found: list[_Line] = []
    rest = page
    for each in page.find_tables():
        grid = _filled(each)
        if table.is_table(grid):
            left, top, right, bottom = each.bbox
            rows = tuple(table.lines(grid))
            found.append(_Line("".join(rows), left, right, top, bottom, 0.0, rows))
            rest = rest.filter(partial(_outside, each.bbox))
    for line in rest.extract_text_lines():
        text = line["text"].replace("\0", "").strip()
        if text:
            size = statistics.median(char["size"] for char in line["chars"])
            found.append(_Line(text, line["x0"], line["x1"], line["top"], line["bottom"], size))
    page.close()
    return sorted(found, key=lambda line: (line.top, line.left))


def _outside(box: tuple[float, float, float, float], item: Any) -> bool:
    x, y = (item["x0"] + item["x1"]) / 2, (item["top"] + item["bottom"]) / 2
    inside = box[0] <= x <= box[2] and box[1] <= y <= box[3]
    return not (item["object_type"] == "char" and inside)


def _filled(found: Any) -> list[list[str]]:
    """Return the cells of a table; one that covers several rows is repeated in each."""
    grid = [[text or "" for text in row] for row in found.extract()]
    for y, row in enumerate(found.rows):
        for x, box in enumerate(row.cells):
            below = itertools.count(y + 1) if box else ()
            for j in below:
                covered = j < len(grid) and found.rows[j].cells[x] is None
                if not covered or found.rows[j].bbox[1] + 1 > box[3]:
                    break
                grid[j][x] = grid[y][x]
    return grid


def _paragraphs(lines: Sequence[_Line], layout: _Layout) -> Iterator[str]:
    """Put the lines of a page together to paragraphs; an indented one has 　　 in front."""
    text, above = "", None
    for line in lines:
        if above and not line.rows and _goes_on(above, line, layout):
            both = text[-1].isascii() and text[-1].isalpha() and line.text[0].isascii()
            text += f" {line.text}" if both else line.text
            above = line
            continue
        if text:
            yield text
        text, above = "", None
        if line.rows:
            yield from ("", *line.rows, "")
        else:
            indented = line.left - layout.margin > _INDENT * line.size
            text, above = ("　　" if indented else "") + line.text, line
    if text:
        yield text


def _layout(width: float, pages: Sequence[Sequence[_Line]]) -> _Layout:
    """Return the margins that the longer lines of these pages keep, and the white between lines.

    Where only short lines are printed none shows the right margin: then it is taken to be as wide as
    the left one.
    """
    lines = [line for page in pages for line in page if not line.rows]
    if not lines:
        return _Layout(0.0, 0.0, 0.0, 0.0)
    longest = max(line.right - line.left for line in lines)
    wide = [line for line in lines if line.right - line.left > _WIDE * longest]
    lefts = Counter(round(line.left) for line in wide)
    gaps = [
        b.top - a.bottom
        for page in pages
        for a, b in itertools.pairwise(page)
        if not (a.rows or b.rows) and b.top > a.bottom
    ]
    often = max(lefts.values())
    margin = float(min(left for left, count in lefts.items() if 2 * count >= often))
    edge, size = max(line.right for line in wide), statistics.median(line.size for line in lines)
    reaching = sum(edge - line.right < size for line in wide)
    return _Layout(
        margin=margin,
        edge=edge if reaching >= _SHOW_EDGE else max(edge, width - margin),
        gap=statistics.median(gaps or [0.0]),
        size=size,
    )


def _goes_on(above: _Line, line: _Line, layout: _Layout) -> bool:
    """Whether a line goes on with the paragraph, or the title in large print, of the line above."""
    if abs(above.size - line.size) >= 1 or line.top - above.bottom > layout.gap + 0.8 * line.size:
        return False
    large = line.size > layout.size + 1
    full = above.right - above.left > _WIDE * (layout.edge - layout.margin)
    if large and full and line.left > above.left:
        return True
    first_word = re.match(r"[\x21-\x7e]*", line.text)
    no_room = _SHORT + 0.55 * len(first_word[0] if first_word else "")
    return (
        line.left - layout.margin <= _INDENT * line.size
        and above.left - layout.margin <= _DEEPEST_INDENT * line.size
        and layout.edge - above.right <= no_room * line.size
        and not re.fullmatch(r"[-—–\s\d]+", line.text)
    )
