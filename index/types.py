"""The types that pass between modules. All are frozen; offsets are half-open and count code points.

A ``Span`` ``(start, end)`` refers to ``Document.text`` unless the attribute says otherwise.
"""

import bisect
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

Span = tuple[int, int]

WORK = "政府工作报告"
"""What a report on the work of a government is called; it is given in the year that it plans."""

_PEOPLES = "壮|回|满|苗|彝|藏|羌|侗|瑶|白|傣|黎|畲|水|佤|土|朝鲜|土家|布依|哈尼|景颇|傈僳|纳西|拉祜|仡佬|仫佬|毛南|东乡"
AUTONOMOUS = rf"(?:维吾尔|(?:{_PEOPLES})族)*自治"
"""What stands between the name of a place and 区, 州 or 县 where peoples govern themselves."""

_REGION = re.compile(
    r"(?:中共[\u4e00-\u9fff]{2,12}?委(?:员会)?)?(?:关于)?(?:\d{4}年度?)?"
    r"(?:[\u4e00-\u9fff]{2,6}?(?:省|市|自治区)){0,2}(?P<stem>(?!人民)[\u4e00-\u9fff]{2,5}?)"
    rf"(?:(?:新区|[省市州盟县区旗]|{AUTONOMOUS}[区州县])"
    r"(?=(?:人民)?政府|\d{4}|[\u4e00-\u9fff]{2,16}(?:[局委厅]|委员会|办公室|法院|检察院))"
    rf"|(?={WORK}))"
)
_NATIONAL = re.compile(r"(?:\d{4}年)?(?:国务院|中央人民政府|全国)")

Kind = Literal["已完成", "不足", "履职", "计划", "其他"]
"""What a section tells: done, lacking, the leader's duties, planned, anything else."""

Role = Literal[
    "发文机关", "发文字号", "签发人", "标题", "主送机关", "成文日期", "正文", "结语", "表格", "表头"
]
"""What a passage is to its document: a field of its head or foot, a paragraph of the body, the closing
words, a row of a table, or a row at its head: that goes with the rows below and is not found itself."""

Grain = Literal["item", "sentence", "clause"]
"""The grains that are embedded: 一是-items (or windows of sentences), sentences, clauses."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file as its reader yields it, and where each page of a PDF begins in it."""

    text: str
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata field where it stands in the text; several spans if it runs over lines."""

    role: Role
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a report without its text; None where the text does not hold it.

    ``sha256`` is that of the file's bytes. ``year`` is the year reported on, not that of ``date``.
    """

    name: str
    sha256: str
    title: str | None
    issuer: str | None
    doc_number: str | None
    signer: str | None
    addressee: str | None
    date: date | None
    year: int | None

    @property
    def of_work(self) -> bool:
        """Whether it is a report on the work of a government."""
        return WORK in (self.title or "")

    @property
    def region(self) -> str | None:
        """The place whose government reports, without its 省 or 市: 郑州; 全国; None if unnamed."""
        for name in filter(None, (self.issuer, self.title)):
            if _NATIONAL.match(name):
                return "全国"
            match = _REGION.match(name)
            if match and match["stem"][0] not in "省市县区本":
                return match["stem"]
        return None


@dataclass(frozen=True, slots=True)
class Document(Report):
    """A report with its decoded text, never changed, and where the fields of its head stand in it.

    ``furniture`` is what stands in the text beside the report: page numbers, running heads, buttons
    of a site. ``pages``: where each page of a PDF begins.
    """

    text: str = field(repr=False)
    fields: tuple[Field, ...] = ()
    furniture: tuple[Span, ...] = field(default=(), repr=False)
    pages: tuple[int, ...] = field(default=(), repr=False)

    def page(self, offset: int) -> int | None:
        """Return the page from 1 on which a character stands; None if the file has no pages."""
        return bisect.bisect_right(self.pages, offset) or None


@dataclass(frozen=True, slots=True)
class Section:
    """A section. ``path`` holds the headings from the outermost to its own.

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


class Segment(NamedTuple):
    """A part of a passage that is embedded; offsets are into ``Passage.text``.

    A tuple: the passages of one answer hold hundreds, made in a quarter of the time of dataclasses.
    """

    grain: Grain
    start: int
    end: int

    def covers(self, start: int, end: int) -> bool:
        """Whether a stretch of the passage lies within this one."""
        return self.start <= start and end <= self.end


def sentences(segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments that have nothing but clauses in them, in their order."""
    found = []
    end = math.inf  # the first of those that begin as late or later
    others = [segment for segment in segments if segment.grain != "clause"]
    for segment in sorted(others, key=lambda segment: (-segment.start, segment.end)):
        if segment.end < end:
            found.append(segment)
        end = min(end, segment.end)
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Passage:
    """One natural paragraph of a document.

    ``number`` counts the passages of the document from 1. ``spans`` are its characters in
    ``document.text``: one span if it stands there in one piece, more where a page break or lines that
    were wrapped are joined. ``header``: for a row of a table the rows at its head, and the line above
    that gives the unit.
    """

    document: Document
    number: int
    spans: tuple[Span, ...]
    role: Role
    section: Section | None
    kind: Kind
    segments: tuple[Segment, ...]
    header: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        """The passage in the source's own characters."""
        return "".join(self.document.text[start:end] for start, end in self.spans)

    @property
    def path(self) -> tuple[str, ...]:
        """The headings above the passage, outermost first; empty outside sections."""
        return self.section.path if self.section else ()

    @property
    def page(self) -> int | None:
        """The page from 1 on which it begins; None if the file has no pages."""
        return self.document.page(self.spans[0][0])

    @property
    def header_text(self) -> tuple[str, ...]:
        """The lines of ``header`` in the source's own characters."""
        return tuple(self.document.text[start:end] for start, end in self.header)
