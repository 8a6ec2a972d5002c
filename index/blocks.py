"""The lines of a text, and the blocks that they make: one paragraph, heading or table row each."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.terms import columns, is_blank, plain, tidy
from index.types import Span

_LINE = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_COUNT = "[一二三四五六七八九十]{1,3}"
_RANKS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"第{_COUNT}(?:[章编篇]|部分)",
        rf"第{_COUNT}节",
        rf"{_COUNT}\s*[、．.]",
        rf"[（(]{_COUNT}[）)]|[㈠-㈩]",
        r"\d{1,2}\s*[、．.](?!\d)",
        r"\d{1,2}[.．]\d{1,2}\s+(?=[\u4e00-\u9fff])",
        r"[（(]\d{1,2}[）)]",
        rf"第{_COUNT}[，、](?=[\u4e00-\u9fff])",
    )
)
_HASHES = re.compile(r"#{1,6}(?:\s+|(?=[第（(一二三四五六七八九十\d]))")
_BOLD = re.compile(r"\*\*|__")
_ROW = re.compile(r"\|.*\|")
_INDENT = re.compile(r"\u3000{2,}")
_RUN_TOGETHER = 200  # characters; a longer line with paragraphs' indents in it holds paragraphs
_SENTENCE_THEN_INDENT = re.compile(r"[。！？：；”）!?]\s*\u3000{2}")
_STOPS = "。！？：；…!?:;"

_FEWEST_LINES = 8
_NARROWEST, _WIDEST = 40, 120  # columns; nobody wraps lines shorter or longer
_RAGGED = 4  # columns; a full line may stop so short of the widest
_FULL_SHARE = 0.4
_CUT_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Block:
    """A line that is not blank, or the lines of one paragraph that was wrapped.

    ``spans`` leave out the blanks around each line and markdown's marks; ``text`` is what they hold,
    radicals written as characters. ``indented`` lines begin a paragraph: 　　 or two spaces in front.
    ``row``: a row of a table.
    """

    spans: tuple[Span, ...]
    hashes: int
    indented: bool
    row: bool
    text: str

    @property
    def start(self) -> int:
        """Where it begins in the text of the document."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.spans[-1][1]

    def part(self, start: int, end: int) -> "Block":
        """Return the stretch of ``text`` between two offsets, as a block of its own."""
        spans, before = [], 0
        for a, b in self.spans:
            cut = max(a, a + start - before), min(b, a + end - before)
            if cut[0] < cut[1]:
                spans.append(cut)
            before += b - a
        return Block(tuple(spans), self.hashes, self.indented, self.row, self.text[start:end])


def rank(line: str) -> int | None:
    """Return the rank of the number that a heading or list item begins with, 0 the highest.

    By GB/T 9704: 第一章, 第一节, 一、（一）1. 1.1 （1）; 第一，below them all. None if the line begins with no number.
    """
    return next((i for i, start in enumerate(_RANKS) if start.match(line)), None)


def lines(text: str) -> list[Block]:
    """Return the lines of a text that show something, in order.

    A line that holds a whole report, its paragraphs parted by 　　 alone, is taken apart.
    """
    shown = plain(text)
    return [
        block
        for line in _LINE.finditer(text)
        for start, end in _pieces(text, *line.span())
        if (block := _block(text, shown, start, end))
    ]


def joined(parts: Sequence[Block], text: str) -> list[Block]:
    """Join lines that were wrapped at a fixed width, as in e-mail or print, to paragraphs."""
    full = _full_lines(parts)
    if full is None:
        return list(parts)
    by_indent = sum(part.indented for part in parts) > 1
    found: list[Block] = []
    for i, part in enumerate(parts):
        goes_on = bool(i) and i - 1 in full
        if goes_on and _wraps(found[-1], part, text, by_indent=by_indent):
            found[-1] = _one(found[-1], part, text)
        else:
            found.append(part)
    return found


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    together = end - start > _RUN_TOGETHER and _SENTENCE_THEN_INDENT.search(text, start, end)
    for indent in _INDENT.finditer(text, start, end) if together else ():
        yield start, indent.start()
        start = indent.start()
    yield start, end


def _block(text: str, shown: str, start: int, end: int) -> Block | None:
    line_start = start
    start, end = _strip(text, start, end)
    mark = _HASHES.match(text, start, end)
    if mark:
        closing = len(text[mark.end() : end].rstrip("#"))
        start, end = _strip(text, mark.end(), mark.end() + closing)
    bold = _BOLD.match(text, start, end)
    if bold:
        start += 2
        end -= 2 * text.endswith(bold[0], start, end)
        start, end = _strip(text, start, end)
    if start >= end:
        return None
    before = text[line_start:start]
    indented = before.expandtabs().count(" ") > 1 or any(c in before for c in "\u3000\u2003")
    return Block(
        spans=((start, end),),
        hashes=text.count("#", mark.start(), mark.end()) if mark else 0,
        indented=indented and not mark,
        row=bool(_ROW.fullmatch(text, start, end)),
        text=shown[start:end],
    )


def _strip(text: str, start: int, end: int) -> Span:
    while start < end and is_blank(text[start]):
        start += 1
    while start < end and is_blank(text[end - 1]):
        end -= 1
    return start, end


def _full_lines(parts: Sequence[Block]) -> set[int] | None:
    """Return which lines are as long as lines may be; None if lines are whole paragraphs.

    Wrapped lines are mostly as long as each other, in columns or, digits being narrow, in characters;
    and most of the long ones end within a sentence.
    """
    widths = {i: columns(part.text) for i, part in enumerate(parts) if not part.row}
    if len(widths) < _FEWEST_LINES:
        return None
    widest = sorted(widths.values())[int(0.98 * (len(widths) - 1))]
    full = {i for i, width in widths.items() if width >= widest - _RAGGED}
    cut = sum(parts[i].text[-1] not in _STOPS for i in full)
    wrapped = len(full) >= _FULL_SHARE * len(widths) and cut >= _CUT_SHARE * len(full)
    if not wrapped or not _NARROWEST <= widest <= _WIDEST:
        return None
    lengths = {i: len(parts[i].text) + 2 * parts[i].indented for i in widths}
    usual, _ = Counter(lengths[i] for i in full).most_common(1)[0]
    return full | {i for i, length in lengths.items() if length >= usual}


def _wraps(block: Block, part: Block, text: str, *, by_indent: bool) -> bool:
    """Whether a line goes on with the block whose last line is full."""
    if block.row or part.row or part.hashes or part.indented:
        return False
    between = text[block.end : part.start]
    if between.count("\n") > 1 or "\f" in between:
        return False
    ended = tidy(block.text)[-1] in _STOPS
    return not ended or (by_indent and rank(part.text) is None)


def _one(block: Block, part: Block, text: str) -> Block:
    """Return two lines as one block; between Latin words the line break stays to part them."""
    apart = block.text[-1].isascii() and part.text[0].isascii() and part.text[0].isalpha()
    *before, last = block.spans
    spans = (*before, (last[0], part.end)) if apart else (*block.spans, *part.spans)
    held = plain("".join(text[start:end] for start, end in spans))
    return Block(spans, block.hashes, block.indented, False, held)
