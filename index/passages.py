"""Cut a document into passages, one natural paragraph each, and these into segments.

A paragraph that a page break cut is joined by choosing spans; no character is rewritten.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from index.documents import Block, rank
from index.outline import Part, closing_start, foot_start, outline
from index.terms import is_blank
from index.types import Document, Grain, Passage, Role, Section, Segment, Span

MAX_SEGMENT = 256
"""Characters. The default encoder reads 512 tokens, about 700 characters, path included."""

_STOPS = "。！？：…!?:"
_CLOSERS = '”’」』）)》〉】］]"'
_INNER = "，。；、：！？）”’》〉】,;"
_LIST_ITEM = re.compile(
    r"[一二三四五六七八九十]{1,3}是|第[一二三四五六七八九十]{1,3}[，、]|[①-⑳●○■□◆·•*—-]"
)
_PRINTED_LINE = 20
"""A page break cuts at the end of a line, of 28 characters by GB/T 9704; a shorter block, and one
without any punctuation, was not cut by it."""

# Words that repeat one character; before punctuation only these explain a repeated character.
_REDUPLICATED = frozenset(
    "人天年月日时事处家户代层步件个条种样常刚渐往多少看试谢太妈爸哥姐弟妹星纷仅恰牢深稳缓频屡默匆"
)
_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿")

_PAGE_NUMBER = re.compile(r"[-—–－]\s*\d{1,4}\s*[-—–－]|第\s*\d{1,4}\s*页(?:\s*共\s*\d{1,4}\s*页)?")
_ITEM_START = re.compile(
    r"(?:(?<=[。；;：:！？”）])|^)\s*(?=[一二三四五六七八九十]{1,3}是|第[一二三四五六七八九十]{1,3}[，是])"
)
_SENTENCE = re.compile(rf"[^。！？；!?;]+[。！？；!?;]*[{re.escape(_CLOSERS)}]*|[。！？；!?;]+")
_CLAUSE_END = re.compile(r"(?<=[，；。：！？;!?])(?![”’」』）)])")
_SHORTEST_CLAUSE = 10


def passages(document: Document) -> tuple[Passage, ...]:
    """Return the passages of a document in reading order, numbered from 1.

    Every character that shows something belongs to exactly one passage or heading, but for
    markdown's ``#`` and a character that a page break repeats.
    """
    found: list[tuple[tuple[Span, ...], Role, Section | None]] = [
        (field.spans, field.role, None) for field in document.fields
    ]
    paragraphs = list(_paragraphs(document.text, outline(document)))
    foot = foot_start(document)
    closing = closing_start(
        [(_join(document.text, s), section) for s, section in paragraphs if s[0][0] < foot]
    )
    for i, (spans, section) in enumerate(paragraphs):
        closes = closing <= i and spans[0][0] < foot
        found.append((spans, "结语", None) if closes else (spans, "正文", section))
    return tuple(
        Passage(document, number, spans, role, section, _segments(_join(document.text, spans)))
        for number, (spans, role, section) in enumerate(sorted(found, key=lambda f: f[0]), 1)
    )


def _join(text: str, spans: Sequence[Span]) -> str:
    return "".join(text[start:end] for start, end in spans)


def _paragraphs(
    text: str, parts: Sequence[Part]
) -> Iterator[tuple[tuple[Span, ...], Section | None]]:
    spans: list[Span] = []
    section: Section | None = None
    for part in parts:
        block = part.block
        if _PAGE_NUMBER.fullmatch(block.text):
            yield ((block.start, block.end),), None
            continue
        begun = bool(spans) and not part.heading and part.section is section
        # What stands between may be blank or a page number, but no line of the head or foot.
        between = text[spans[-1][1] : block.start] if begun else ""
        begun = begun and all(map(is_blank, _PAGE_NUMBER.sub("", between)))
        if begun and _goes_on(_join(text, spans), block):
            start = block.start + _repeats(text[spans[-1][1] - 1], block.text, text)
            spans.append((start, block.end))
            continue
        if spans:
            yield tuple(spans), section
        spans = [] if part.heading else [(block.start, block.end)]
        section = part.section
    if spans:
        yield tuple(spans), section


def _goes_on(before: str, block: Block) -> bool:
    """Whether a paragraph that reads ``before`` so far goes on in the next block."""
    if block.hashes or rank(block.text) is not None:
        return False
    if block.text[0] in _INNER:
        return True
    if block.indented or len(before) < _PRINTED_LINE or not any(char in _INNER for char in before):
        return False
    ending = before.rstrip(_CLOSERS)
    if not ending or ending[-1] in _STOPS or ending != before:
        return False
    return not (ending[-1] in "；;" and _LIST_ITEM.match(block.text))


def _repeats(last: str, after: str, text: str) -> int:
    """Return 1 if ``after`` begins with a character that the page break repeats, else 0.

    Only 「防控措施 ‖ 施，」 is certain: before punctuation the second 施 begins no word, and
    措施施 ends in none, nor does 施施 stand elsewhere in the text. In 「发展 ‖ 展示」 or
    「工作队 ‖ 队伍」 both may be meant: both stay.
    """
    known = _REDUPLICATED | _NUMERALS
    certain = len(after) > 1 and after[1] in _INNER and "\u4e00" <= last <= "\u9fff"
    doubled = after[0] == last and last not in known and last * 2 not in text
    return int(certain and doubled)


def _segments(text: str) -> tuple[Segment, ...]:
    """Cut a passage into 一是-items (else windows of sentences), sentences and clauses.

    A stretch that is two of these at once is kept as the larger.
    """
    starts = [match.end() for match in _ITEM_START.finditer(text)]
    bounds = sorted({0, *starts, len(text)})
    sentences = _sentences(text, 0, len(text))
    grains: tuple[tuple[Grain, list[Span]], ...] = (
        ("clause", [clause for sentence in sentences for clause in _clauses(text, *sentence)]),
        ("sentence", sentences),
        (
            "item",
            [
                window
                for start, end in itertools.pairwise(bounds)
                for window in _windows(_sentences(text, start, end))
            ],
        ),
    )
    largest = {span: grain for grain, spans in grains for span in spans}
    return tuple(Segment(grain, *span) for span, grain in sorted(largest.items()))


def _sentences(text: str, start: int, end: int) -> list[Span]:
    """Return the sentences of a stretch of text; one too long is cut at its clauses."""
    found: list[Span] = []
    for match in _SENTENCE.finditer(text, start, end):
        long = len(match[0]) > MAX_SEGMENT
        found.extend(_windows(_clauses(text, *match.span())) if long else [match.span()])
    return found


def _clauses(text: str, start: int, end: int) -> list[Span]:
    """Return the clauses of a sentence; one of a few characters goes with the next."""
    clauses: list[Span] = []
    for stop in (*(match.start() for match in _CLAUSE_END.finditer(text, start, end)), end):
        if stop - start >= _SHORTEST_CLAUSE:
            clauses.append((start, stop))
            start = stop
    if clauses and start < end:
        clauses[-1] = (clauses[-1][0], end)
    return clauses or [(start, end)]


def _windows(pieces: Sequence[Span]) -> list[Span]:
    """Pack neighbouring pieces into windows of at most ``MAX_SEGMENT`` characters."""
    windows: list[Span] = []
    for start, end in pieces:
        if windows and end - windows[-1][0] <= MAX_SEGMENT:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return [
        (cut, min(cut + MAX_SEGMENT, end))
        for start, end in windows
        for cut in range(start, end, MAX_SEGMENT)
    ]
