"""A draft beside the reports: whether its quotations and numbers are what they say."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from index.columns import Scope
from index.errors import ReportError
from index.terms import terms
from index.types import Document, Passage, Span
from search.figures import Amount, amounts
from search.locate import Place
from search.pipeline import Opened, open_once
from search.query import MAX_CHARACTERS as MAX_QUESTION
from search.query import normalise, without_regions
from search.retrieve import Where, retrieve, term_weights
from search.scope import EVERYTHING, Filters, check_filters, chosen, within

MAX_CHARACTERS = 20_000

Verdict = Literal["逐字一致", "仅空格标点或跨页差异", "文字有出入", "未找到"]
NumberVerdict = Literal["一致", "说法有出入", "见于别处", "未找到"]

_OUTSIDE = 0.6
"""Share of a sentence's characters outside its own quotation marks that must stand in the report as
well, for the whole sentence to be quoted and not only what is inside."""

_ABOUT = 5  # passages that a sentence with a number is taken to be about
_ELSEWHERE = 20  # passages with the same digits that are looked at
_BEFORE = 12  # characters before a number that say what it counts
_AS_NEAR = 0.5
"""How much of the words before a number stand before the same one in the report, as a share of what
stands before the number of its unit where most do: less, and it is another that happens to be equal.
That holds only where most of the words, ``_SURELY``, stand before that one."""

_SURELY = 0.6

_QUOTED = re.compile(r"“([^“”]+)”|「([^「」]+)」|『([^『』]+)』|\"([^\"\n]+)\"")
_SENTENCE = re.compile(r"(?:“[^“”]*”|「[^「」]*」|[^。！？!?；;\n])+[。！？!?；;]?")
_BETWEEN_ELLIPSES = re.compile(r"(?:(?!…|\.{3}).)+", re.S)
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a quotation beside the report: 同 in both, 多 only in the draft, 缺 only there."""

    kind: Literal["同", "多", "缺"]
    text: str


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quotation of a draft, ``draft[start:end]``, and the place it is from, None if not found.

    ``pieces`` are the differences, character by character, blanks aside.
    """

    text: str
    start: int
    end: int
    verdict: Verdict
    place: Place | None = None
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A number that a report gives, and where."""

    amount: Amount
    passage: Passage


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a draft, ``draft[start:end]``, and what the reports have.

    ``told`` is the number at the place that the sentence is about: the same one (一致), the same with
    another qualifier (说法有出入), or the nearest of its unit; None if there is none. ``elsewhere``
    is the same number where something else is told (见于别处).
    """

    text: str
    start: int
    end: int
    verdict: NumberVerdict
    told: Told | None = None
    elsewhere: Told | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft's quotations, and its numbers outside those that were found; each in their order."""

    draft: str
    quotations: tuple[Quotation, ...]
    numbers: tuple[Number, ...]


def check(
    text: str,
    *,
    documents: Sequence[str | Document] | str | Document | None = None,
    regions: Sequence[str] | str | None = None,
    years: Sequence[int] | int | None = None,
    library: Path | str | None = None,
) -> Checked:
    """Check the quotations and the numbers of a draft against the reports.

    A quotation is what stands in quotation marks, and a sentence that a report holds; in a draft
    without quotation marks every sentence is taken for one. What an ellipsis parts is checked part
    by part. The filters are those of ``search``. Raises ``ReportError`` if the draft is no text,
    blank, or longer than 20,000 characters, and as ``search`` does.
    """
    filters = check_filters(documents=documents, regions=regions, years=years)
    return checked(text, open_once(library), filters)


def checked(text: object, opened: Opened, filters: Filters = EVERYTHING) -> Checked:
    """Do the work of ``check`` on an opened library."""
    draft = _draft(text)
    scope = within(chosen(filters, opened.reports), None)
    sentences = [match.span() for match in _SENTENCE.finditer(draft) if terms(match[0])]
    every = not _QUOTED.search(draft)
    quotations: list[Quotation] = []
    numbers: list[Number] = []
    for span in sentences:
        found = _quotations(draft, span, opened, scope, every=every)
        compared = [q for q in found if q.place]  # to the character, numbers and all
        left = [
            amount
            for amount in amounts(draft, *span)
            if not any(q.start <= amount.span[0] < q.end for q in compared)
        ]
        near = [p for q in found if q.place for p in q.place.passages]
        numbers += _numbers(draft, span, left, near, opened, scope)
        quotations += found
    return Checked(draft, tuple(quotations), tuple(numbers))


def _draft(text: object) -> str:
    if not isinstance(text, str):
        raise ReportError(
            f"要核对的应当是一段文字，收到的是 {type(text).__name__}，请粘贴草稿里的话。"
        )
    if len(text) > MAX_CHARACTERS:
        raise ReportError(
            f"要核对的文字有 {len(text)} 个字，超过 {MAX_CHARACTERS} 字的上限，请分几次核对。"
        )
    if not terms(text):
        raise ReportError("要核对的内容里没有文字，请粘贴草稿里的一句话或一页。")
    return text


def _quotations(
    draft: str, span: Span, opened: Opened, scope: Scope | None, *, every: bool
) -> list[Quotation]:
    """Return the quotations of a sentence: the whole of it, or what stands in quotation marks."""
    start, end = _trimmed(draft, span)
    inner = [_group(match) for match in _QUOTED.finditer(draft, start, end)]
    if _says_more(draft, (start, end), inner):
        whole = _quotation(draft, (start, end), opened, scope)
        agrees = whole.place is not None and whole.place.alike == 1.0
        if agrees or every or (whole.place and _taken(draft, whole, inner)):
            return [whole]
    parts = [
        _trimmed(draft, m.span()) for a, b in inner for m in _BETWEEN_ELLIPSES.finditer(draft, a, b)
    ]
    return [_quotation(draft, part, opened, scope) for part in parts if terms(draft[slice(*part)])]


def _says_more(draft: str, span: Span, inner: Sequence[Span]) -> bool:
    """Whether a sentence says anything but what it quotes."""
    ends = [span[0], *(at for part in inner for at in part), span[1]]
    return any(terms(draft[a:b]) for a, b in zip(ends[::2], ends[1::2], strict=True))


def _quotation(draft: str, span: Span, opened: Opened, scope: Scope | None) -> Quotation:
    text = draft[slice(*span)]
    place = opened.streams.locate(text, scope)
    if place is None:
        return Quotation(text, *span, "未找到")
    if place.verbatim:
        return Quotation(text, *span, "逐字一致", place)
    same = place.alike == 1.0
    verdict: Verdict = "仅空格标点或跨页差异" if same else "文字有出入"
    return Quotation(text, *span, verdict, place, pieces(text, place.source))


def _taken(draft: str, whole: Quotation, inner: Sequence[Span]) -> bool:
    """Whether a sentence is taken from a report, and does not only quote it."""
    at, outside, same = whole.start, 0, 0
    for piece in whole.pieces:
        if piece.kind == "缺":
            continue
        for _ in piece.text:
            while draft[at].isspace():
                at += 1
            if not any(a <= at < b for a, b in inner):
                outside += 1
                same += piece.kind == "同"
            at += 1
    return bool(inner) and same >= _OUTSIDE * outside


def pieces(draft: str, source: str) -> tuple[Piece, ...]:
    """Return where two texts differ, character by character, blanks aside."""
    one, other = _BLANK.sub("", draft), _BLANK.sub("", source)
    found: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            found.append(Piece("同", one[a:b]))
            continue
        found += [Piece("多", one[a:b])] * (a < b) + [Piece("缺", other[c:d])] * (c < d)
    return tuple(found)


def _numbers(
    draft: str,
    span: Span,
    found: Sequence[Amount],
    near: Sequence[Passage],
    opened: Opened,
    scope: Scope | None,
) -> list[Number]:
    """Return what the reports say of the numbers in a sentence."""
    told = [a for a in found if a.unit or len(re.sub(r"\D", "", a.text)) > 2]
    if not told:
        return []
    about = [*near, *_about(draft[slice(*span)], opened, scope)]
    return [_number(draft, amount, about, opened, scope) for amount in told]


def _number(
    draft: str, amount: Amount, about: Sequence[Passage], opened: Opened, scope: Scope | None
) -> Number:
    """Return what the reports say: the same number where the sentence has its place, or elsewhere."""
    before = set(terms(draft[max(0, amount.span[0] - _BEFORE) : amount.span[0]]))

    def shared(told: Told) -> float:
        at = told.amount.span[0]
        there = set(terms(told.passage.text[max(0, at - _BEFORE) : at]))
        return len(before & there) / max(1, len(before))

    like = [told for told in _told(about) if _unit_agrees(amount, told.amount)]
    nearest = max(like, key=lambda t: shared(t) + _digits_alike(amount, t.amount), default=None)
    same = [t for t in like if t.amount.value == amount.value]
    closest = max((shared(told) for told in like), default=0.0)
    least = _AS_NEAR * closest if closest >= _SURELY else 0.0
    here = [told for told in same if shared(told) >= least]
    if here:
        found = max(here, key=lambda told: told.amount.qualifier == amount.qualifier)
        agrees = found.amount.qualifier == amount.qualifier
        return Number(amount.text, *amount.span, "一致" if agrees else "说法有出入", found)
    others = opened.library.lexical_best(terms(amount.text), _ELSEWHERE, scope)
    everywhere = _told(opened.library.passages(others).values())
    same += [
        told
        for told in everywhere
        if _unit_agrees(amount, told.amount) and told.amount.value == amount.value
    ]
    if not same:
        return Number(amount.text, *amount.span, "未找到", nearest)
    named = max(like, key=shared) if like else None
    return Number(amount.text, *amount.span, "见于别处", named, same[0])


def _told(passages: Iterable[Passage]) -> list[Told]:
    return [Told(amount, passage) for passage in passages for amount in amounts(passage.text)]


def _unit_agrees(one: Amount, other: Amount) -> bool:
    return one.unit in ("", other.unit)


def _digits_alike(one: Amount, other: Amount) -> float:
    digits = [re.sub(r"[^\d.]", "", amount.text) for amount in (one, other)]
    return difflib.SequenceMatcher(None, digits[0], digits[1]).ratio()


def _about(sentence: str, opened: Opened, scope: Scope | None) -> list[Passage]:
    """Return the passages that a sentence is about, the nearest first."""
    asked = normalise(sentence[:MAX_QUESTION])
    vector = opened.encoder.encode_query(without_regions(asked.text, opened.regions))
    weights = term_weights(opened.library, asked)
    ranked = retrieve(opened.library, vector, weights, opened.floor, Where(scope))[:_ABOUT]
    passages = opened.library.passages([found.passage_id for found in ranked])
    return [passages[found.passage_id] for found in ranked]


def _group(match: re.Match[str]) -> Span:
    """Return what stands between the quotation marks."""
    return next(match.span(i) for i in range(1, 5) if match.start(i) >= 0)


def _trimmed(text: str, span: Span) -> Span:
    """Leave blanks out at both ends."""
    piece = text[slice(*span)]
    return span[0] + len(piece) - len(piece.lstrip()), span[1] - len(piece) + len(piece.rstrip())
