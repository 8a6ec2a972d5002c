"""The rows of a table: which are at its head, and what each cell of another stands under."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.blocks import Block
from index.terms import tidy
from index.types import Passage, Span

_VALUE = re.compile(r"[-+±]?[\d,，.\s]*\d[\d,，.\s]*(?:%|％|‰|[\u4e00-\u9fff]{1,3})?")
_EMPTY = re.compile(r"[-—–/\\无*×○√\s]*")
_UNIT = re.compile(r".*(?:计量)?单位\s*[:：].{1,12}")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that holds something: its text and place in the row, and what it stands ``under``."""

    under: str
    text: str
    span: Span
    is_value: bool


def cells(row: str) -> list[Span]:
    """Return where the cells of a row stand in it, blanks left out; an empty cell is an empty span."""
    found = []
    start = 1 if row.startswith("|") else 0
    end = len(row) - 1 if row.endswith("|") else len(row)
    for piece in row[start:end].split("|"):
        lead = len(piece) - len(piece.lstrip())
        text = piece.strip()
        found.append((start + lead, start + lead + len(text)) if text else (start, start))
        start += len(piece) + 1
    return found


def heads(rows: Sequence[Block], above: Block | None) -> Iterator[tuple[Span, ...] | None]:
    """Yield for each row of a table the rows it stands under, or None if it is at the head itself.

    The first row is at the head, and with it those tied to it by merged cells; likewise, where cells
    hold numbers, a row that names them in words. ``above`` may give the unit: 单位：万元.
    """
    grid = [[row.text[a:b] for a, b in cells(row.text)] for row in rows]
    unit = above.spans if above and _UNIT.fullmatch(tidy(above.text)) else ()
    names = _names(grid)
    under: list[Span] = list(unit)
    for i, row in enumerate(rows):
        if names[i] and not (i and names[i - 1]):
            under = list(unit)
        if names[i]:
            under += row.spans
        yield None if names[i] else tuple(under)


def labelled(passage: Passage) -> list[Cell]:
    """Return the cells of a row that hold something, with what stands at the head of each."""
    text = passage.text
    columns: dict[int, list[str]] = {}
    for line in passage.header_text:
        if not line.startswith("|"):
            continue
        before = ""
        for i, (start, end) in enumerate(cells(line)):
            before = line[start:end] or before  # a merged cell stands in the first of its columns
            if before and before not in columns.setdefault(i, []):
                columns[i].append(before)
    return [
        Cell(
            " ".join(columns.get(i, ())),
            text[start:end],
            (start, end),
            i > 0 and _is_value(text[start:end]),
        )
        for i, (start, end) in enumerate(cells(text))
        if start < end
    ]


def _names(grid: Sequence[Sequence[str]]) -> list[bool]:
    """Return for each row whether it names columns; if all would, none does."""
    numbers = {j for row in grid for j, cell in enumerate(row) if j and _is_value(cell)}
    names = [False] * len(grid)
    if numbers:
        for i in reversed(range(len(grid))):  # from below: a row of one cell heads names below it
            held = [j for j, cell in enumerate(grid[i]) if cell]
            if any(_is_value(grid[i][j]) for j in held if j):
                continue
            if held in ([0], []):  # 第二十条第（五）项, over the whole width
                names[i] = i + 1 < len(grid) and names[i + 1]
            else:
                worded = any(j in numbers and not _EMPTY.fullmatch(grid[i][j]) for j in held)
                names[i] = i == 0 or worded
    else:  # a table of words: the first row, and those that repeat a cell of the one before
        for i in range(len(grid)):
            tied = i > 0 and any(a and a == b for a, b in zip(grid[i - 1], grid[i], strict=False))
            names[i] = i == 0 or (names[i - 1] and tied)
    return [False] * len(grid) if all(names) else names


def _is_value(cell: str) -> bool:
    return bool(_VALUE.fullmatch(cell))
