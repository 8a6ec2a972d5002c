"""Cut a document into passages, one natural paragraph each, and these into segments.

A paragraph that a page break cut is joined by choosing spans; no character is rewritten.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.blocks import Block, rank
from index.outline import Part, closing_start, foot_start, outline
from index.tables import cells, heads
from index.types import Document, Grain, Kind, Passage, Role, Section, Segment, Span

MAX_SEGMENT = 256
"""Characters. The default encoder reads 512 tokens, about 700 characters, path included."""

_ROW_SEGMENT = 80  # characters; each cell is embedded with what stands at the head of its column
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

# What a report admits within the review of its work: 也清醒看到，……面临不少困难和挑战。
_ADMITS = re.compile(
    r"[^。]{0,80}(?:看到|认识到|意识到|注意到|存在|面临)[^。]{0,120}(?:问题|不足|困难|短板|差距|挑战|薄弱)"
)
_ITEM_START = re.compile(
    r"(?:(?<=[。；;：:！？”）])|^)\s*(?=[一二三四五六七八九十]{1,3}是|第[一二三四五六七八九十]{1,3}[，是])"
)
_SENTENCE = re.compile(rf"[^。！？；!?;]+[。！？；!?;]*[{re.escape(_CLOSERS)}]*|[。！？；!?;]+")
_CLAUSE_END = re.compile(r"(?<=[，；。：！？;!?])(?![”’」』）)])")
_SHORTEST_CLAUSE = 10


@dataclass(frozen=True, slots=True)
class _Piece:
    """A passage to be: its place and section, and its place in a table if it is a row."""

    spans: tuple[Span, ...]
    section: Section | None
    role: Role = "正文"
    header: tuple[Span, ...] = ()


def passages(document: Document) -> tuple[Passage, ...]:
    """Return the passages of a document in reading order, numbered from 1.

    Every character that shows something belongs to exactly one passage, heading or piece of the
    furniture, but for the marks of markdown and a character that a page break repeats.
    """
    text = document.text
    fields = [_Piece(field.spans, None, field.role) for field in document.fields]
    pieces = list(_pieces(document, outline(document)))
    foot = foot_start(document)
    closing = closing_start(
        [(_join(text, p.spans), p.section) for p in pieces if p.spans[0][0] < foot]
    )
    for i, piece in enumerate(pieces):
        if i >= closing and piece.spans[0][0] < foot and piece.role == "正文":
            pieces[i] = _Piece(piece.spans, None, "结语")
    found = sorted((*fields, *pieces), key=lambda piece: piece.spans)
    return tuple(_passage(document, number, piece) for number, piece in enumerate(found, 1))


def _passage(document: Document, number: int, piece: _Piece) -> Passage:
    text = _join(document.text, piece.spans)
    if piece.role == "表头":
        segments: tuple[Segment, ...] = ()
    elif piece.role == "表格":
        segments = tuple(_row_segments(text))
    else:
        segments = _segments(text)
    return Passage(
        document,
        number,
        piece.spans,
        piece.role,
        piece.section,
        _kind(text, piece.section),
        segments,
        piece.header,
    )


def _kind(text: str, section: Section | None) -> Kind:
    """Return the kind of a section for its passage; 不足 for what a review of work admits."""
    kind = section.kind if section else "其他"
    return "不足" if kind == "已完成" and _ADMITS.match(text) else kind


def _join(text: str, spans: Sequence[Span]) -> str:
    return "".join(text[start:end] for start, end in spans)


def _pieces(document: Document, parts: Sequence[Part]) -> Iterator[_Piece]:
    """Yield paragraphs and the rows of tables in order."""
    above: Part | None = None
    for of_table, run in itertools.groupby(parts, lambda part: part.block.row):
        group = list(run)
        if of_table:
            yield from _rows(group, above)
        else:
            yield from _paragraphs(document, group)
        above = group[-1]


def _rows(parts: Sequence[Part], above: Part | None) -> Iterator[_Piece]:
    under = heads([part.block for part in parts], above.block if above else None)
    for part, header in zip(parts, under, strict=True):
        role: Role = "表头" if header is None else "表格"
        yield _Piece(part.block.spans, part.section, role, header or ())


def _paragraphs(document: Document, parts: Sequence[Part]) -> Iterator[_Piece]:
    """Yield paragraphs, those that a page break cut put together."""
    text = document.text
    fields = sorted(start for field in document.fields for start, _ in field.spans)
    spans: list[Span] = []
    section: Section | None = None
    for part in parts:
        block = part.block
        begun = bool(spans) and not part.heading and part.section is section
        # What stands between may be blank or furniture, but no line of the head or foot.
        begun = begun and not any(spans[-1][1] <= start < block.start for start in fields)
        if begun and _goes_on(_join(text, spans), block):
            first, *rest = block.spans
            skipped = _repeats(text[spans[-1][1] - 1], block.text, text)
            spans += [(first[0] + skipped, first[1]), *rest]
            continue
        if spans:
            yield _Piece(tuple(spans), section)
        spans = [] if part.heading else list(block.spans)
        section = part.section
    if spans:
        yield _Piece(tuple(spans), section)


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


def _row_segments(row: str) -> Iterator[Segment]:
    """Cut a row of a table into stretches of whole cells."""
    places = [cell for cell in cells(row) if cell[0] < cell[1]]
    for start, end in _windows(places, _ROW_SEGMENT):
        yield Segment("item", start, end)


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


def _windows(pieces: Sequence[Span], longest: int = MAX_SEGMENT) -> list[Span]:
    """Pack neighbouring pieces into windows of at most ``longest`` characters."""
    windows: list[Span] = []
    for start, end in pieces:
        if windows and end - windows[-1][0] <= longest:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return [
        (cut, min(cut + longest, end))
        for start, end in windows
        for cut in range(start, end, longest)
    ]
