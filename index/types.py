"""The types that pass between modules. All are frozen; offsets are half-open and count code points.

A ``Span`` ``(start, end)`` refers to ``Document.text`` unless the attribute says otherwise.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Span = tuple[int, int]

_REGION = re.compile(
    r"(?:\d{4}年)?(?:[\u4e00-\u9fff]{2,4}(?:省|自治区))?(?P<stem>[\u4e00-\u9fff]{2,5}?)"
    r"(?:[省市州盟县区旗]|(?:壮族|回族|维吾尔)?自治[区州县])?(?:人民政府|政府工作报告)"
)

Kind = Literal["已完成", "不足", "履职", "计划", "其他"]
"""What a section tells: done, lacking, the leader's duties, planned, anything else."""

Role = Literal["发文机关", "发文字号", "签发人", "标题", "主送机关", "成文日期", "正文", "结语"]
"""What a passage is to its document: a field of its head or foot, the body, or the closing words."""

Grain = Literal["item", "sentence", "clause"]
"""The grains that are embedded: 一是-items (or windows of sentences), sentences, clauses."""


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata field where it stands in the text; several spans if it runs over lines."""

    role: Role
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report: its decoded text, never changed, and the metadata found in it.

    ``sha256`` is that of the file's bytes. A metadata value that the text does not hold is None.
    ``year`` is the year reported on, not that of ``date``.
    """

    name: str
    text: str = field(repr=False)
    sha256: str
    title: str | None
    issuer: str | None
    doc_number: str | None
    signer: str | None
    addressee: str | None
    date: date | None
    year: int | None
    fields: tuple[Field, ...] = ()

    @property
    def region(self) -> str | None:
        """The place whose government reports, without its 省 or 市: 郑州; None if unnamed."""
        for name in (self.issuer, self.title):
            match = _REGION.match(name or "")
            if match and match["stem"][0] not in "省市县区本":
                return match["stem"]
        return None


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered section. ``path`` holds the headings from the outermost to its own.

    ``span`` is its heading in the text; in a run-in heading （「（一）加强领导。各部门……」）
    these characters belong to the passage as well.
    """

    path: tuple[str, ...]
    kind: Kind
    span: Span
    run_in: bool

    @property
    def level(self) -> int:
        """1 for the outermost."""
        return len(self.path)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a passage that is embedded; offsets are into ``Passage.text``."""

    grain: Grain
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """One natural paragraph of a document.

    ``number`` counts the passages of the document from 1. ``spans`` are its characters in
    ``document.text``: one span if it stands there in one piece, more where a page break was joined.
    """

    document: Document
    number: int
    spans: tuple[Span, ...]
    role: Role
    section: Section | None
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The passage in the source's own characters."""
        return "".join(self.document.text[start:end] for start, end in self.spans)

    @property
    def path(self) -> tuple[str, ...]:
        """The headings above the passage, outermost first; empty outside numbered sections."""
        return self.section.path if self.section else ()

    @property
    def kind(self) -> Kind:
        """The kind of its section; 其他 outside numbered sections."""
        return self.section.kind if self.section else "其他"
