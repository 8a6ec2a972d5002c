"""What a search returns. Frozen; offsets are half-open and count code points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from index.types import Document, Kind, Passage, Span
from search.citation import cite


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that bears on the question.

    ``score`` is in [0, 1], higher is nearer: 0 is as near as a question about something else
    comes; asking a passage's very words gives about 0.6, a good question 0.2 to 0.5; a report that the
    question names has up to 0.21 more. ``marks`` are spans in ``text``: first the sentence that matched best, then the clauses inside it that may answer. ``also`` are the passages of the library
    that say the same, in other reports or elsewhere in this one.
    """

    passage: Passage
    score: float
    marks: tuple[Span, ...]
    also: tuple[Passage, ...] = ()

    @property
    def text(self) -> str:
        """The passage in the source's own characters."""
        return self.passage.text

    @property
    def citation(self) -> str:
        """Issuer, title, 发文字号, date, section path and paragraph, ready to quote."""
        return cite(self.passage)

    @property
    def section(self) -> tuple[str, ...]:
        """The headings above the passage, outermost first; empty outside numbered sections."""
        return self.passage.path

    @property
    def kind(self) -> Kind:
        """已完成, 不足, 履职, 计划 or 其他."""
        return self.passage.kind

    @property
    def paragraph(self) -> int:
        """Which paragraph of the document this is, from 1; headings are not counted."""
        return self.passage.number

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the passage stands in ``document.text``."""
        return self.passage.spans

    @property
    def page(self) -> int | None:
        """The page of a PDF on which it begins; None for files without pages."""
        return self.passage.page

    @property
    def header(self) -> tuple[str, ...]:
        """For a row of a table: the rows at its head and the line with its unit."""
        return self.passage.header_text

    @property
    def verbatim(self) -> bool:
        """Whether it stands there in one piece; False where lines or pages were joined."""
        return len(self.passage.spans) == 1

    @property
    def document(self) -> Document:
        """The report it is from."""
        return self.passage.document


@dataclass(frozen=True, slots=True)
class Answer:
    """The words of a passage that answer the question.

    ``text`` is ``hit.text[start:end]``, the source's own characters with unit and qualifier.
    ``confidence`` in [0, 1] is the probability that the passage answers the question.
    """

    text: str
    hit: Hit
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Results(Sequence[Hit]):
    """The hits for a question, best first.

    ``confidence`` in [0, 1] is the probability that the first of them answers it. ``found`` is False
    when it is too low, unless a passage holds every word asked; the hits are then only the nearest
    passages and no evidence. ``answer`` is None when it is too low. Where no reader is installed
    both are None.
    """

    query: str
    hits: tuple[Hit, ...]
    found: bool
    confidence: float | None = None
    answer: Answer | None = None

    @property
    def notice(self) -> str:
        """What the asker must know before reading the hits; empty where they are evidence."""
        if self.found:
            return ""
        if not self.hits:  # by the filters, or of an empty library: else some are the nearest
            return "资料库里没有符合条件的段落，请放宽条件，或先添加报告。"
        return "报告中没有找到依据。以下段落仅供参考，不能作为依据。"

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]
