"""Show at a glance how a file was understood, so that a person sees what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.documents import read
from index.outline import outline
from index.passages import passages
from index.terms import is_blank
from index.types import Document, Kind

HEADINGS = (
    "文件",
    "标题",
    "年度",
    "字数",
    "章节",
    "计划",
    "段落",
    "表格行",
    "最长",
    "页面杂项",
    "无归属",
)
_MARKS = "#*_| "  # of markdown and of tables; they belong to no passage


@dataclass(frozen=True, slots=True)
class Check:
    """What was found in a file: counts of characters, sections, passages.

    ``unplaced`` are characters that show something and belong to nothing: 0 if all went well.
    ``furniture`` are those of page numbers, running heads and buttons of a site.
    """

    document: Document
    characters: int
    headings: tuple[str, ...]
    kinds: tuple[Kind, ...]
    passages: int
    rows: int
    longest: int
    furniture: int
    unplaced: int

    def row(self) -> Sequence[str]:
        """Return what stands in a table under ``HEADINGS``."""
        planned = sum(kind == "计划" for kind in self.kinds)
        numbers = (
            self.document.year or "—", self.characters, len(self.headings), planned, self.passages, self.rows,
            self.longest, self.furniture, self.unplaced,
        )  # fmt: skip
        return (self.document.name, self.document.title or "—", *map(str, numbers))


def check(file: Path) -> Check:
    """Read a file and count. Raises ``ReportError`` if it cannot be read."""
    document = read(file)
    cut = passages(document)
    sections = list(dict.fromkeys(part.section for part in outline(document) if part.section))
    text = document.text
    placed = [span for passage in cut for span in passage.spans]
    placed += [section.span for section in sections]
    shown = {i for i, char in enumerate(text) if not is_blank(char) and char not in _MARKS}
    beside = {i for start, end in document.furniture for i in range(start, end)} & shown
    owned = {i for start, end in placed for i in range(start, end)}
    return Check(
        document=document,
        characters=len(shown),
        headings=tuple(section.path[-1] for section in sections),
        kinds=tuple(section.kind for section in sections),
        passages=len(cut),
        rows=sum(passage.role == "表格" for passage in cut),
        longest=max((len(passage.text) for passage in cut), default=0),
        furniture=len(beside),
        unplaced=len(shown - beside - owned),
    )
