"""How a table stands in the text of a document: a row a line, ``| 规章 | 1 | 0 |``, as in markdown."""

from collections.abc import Iterable, Sequence

Grid = Sequence[Sequence[str]]
"""Rows of cells. A merged cell has its text in each row that it covers, in the first column of it."""


def is_table(grid: Grid) -> bool:
    """Whether a grid is a table, not a frame around text: two columns and two rows hold something."""
    rows = [row for row in grid if any(cell.strip() for cell in row)]
    columns = [column for column in zip(*rows, strict=True) if any(cell.strip() for cell in column)]
    return len(rows) > 1 and len(columns) > 1


def lines(grid: Grid) -> Iterable[str]:
    """Yield a line for each row that holds something; a cell's own lines become one."""
    for row in grid:
        cells = [_one_line(cell) for cell in row]
        if any(cells):
            yield f"| {' | '.join(cells)} |"


def _one_line(cell: str) -> str:
    parts = cell.replace("|", "｜").split()
    joined = parts[0] if parts else ""
    for part in parts[1:]:
        both_latin = joined[-1].isascii() and part[0].isascii()
        joined += f" {part}" if both_latin else part
    return joined
