"""Where words stand in the reports: as they are, but for blanks and punctuation, or nearly so."""

import bisect
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from index.columns import Scope
from index.contract import Store
from index.terms import plain, terms
from index.types import Document, Passage, Section
from search.reading import reading

ALIKE = 0.6
"""Share of the words' characters that must stand in a report in order, for a place to be the one
that was meant."""

_SHORT = 6  # characters; fewer stand somewhere as they are or not at all
_CANDIDATES = 20  # passages looked at for each quotation
_LONG = 300  # characters, above which only the best few are: the work grows with the square
_KEPT = "%‰+"


@dataclass(frozen=True, slots=True)
class Stream:
    """A report read from beginning to end: its headings and paragraphs, joined; no furniture.

    ``text`` are the source's own characters, ``parts`` what each stretch of it is, by ``starts``.
    ``bones`` are the characters that carry the words, ``places`` where each stands in ``text``.
    """

    document: Document
    text: str
    parts: tuple[Section | Passage, ...] = field(repr=False)
    starts: tuple[int, ...] = field(repr=False)
    bones: str = field(repr=False)
    places: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where words stand: ``source`` are the report's own characters, ``parts`` what they touch.

    ``alike`` in [0, 1] is the share of the words that stand there in order: 1 if all do.
    ``verbatim``: in one piece and to the character.
    """

    document: Document
    source: str
    parts: tuple[Section | Passage, ...]
    alike: float
    verbatim: bool

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The paragraphs among ``parts``."""
        return tuple(part for part in self.parts if isinstance(part, Passage))


class Streams:
    """The reports of a library, each read once. Thread-safe."""

    def __init__(self, library: Store) -> None:
        self._library = library
        self._read: dict[str, Stream] = {}
        self._lock = threading.Lock()

    def of(self, document: Document) -> Stream:
        """Return a report as a stream."""
        with self._lock:
            if document.sha256 not in self._read:
                self._read[document.sha256] = stream(document, reading(self._library, document))
            return self._read[document.sha256]

    def locate(self, words: str, scope: Scope | None = None) -> Place | None:
        """Return the place where words stand in a part of the library, the best one; None if nowhere.

        Where they do not stand as they are, or but for blanks and punctuation, the nearest stretch
        around the passages that share most of their terms is taken if it is ``ALIKE``.
        """
        exact = self.standing(words, scope)
        if exact:
            return exact[0]
        bones, _ = skeleton(words)
        if len(bones) < _SHORT:
            return None
        candidates = self._candidates(words, scope)[: 5 if len(bones) > _LONG else None]
        near = [nearest(bones, self.of(p.document), p) for p in candidates]
        best = max(near, key=lambda place: place.alike, default=None)
        return best if best and best.alike >= ALIKE else None

    def standing(self, words: str, scope: Scope | None = None) -> list[Place]:
        """Return where words stand as they are, or but for blanks and punctuation, verbatim first.

        One place a report, in the reports of the passages that share most of their terms.
        """
        bones, _ = skeleton(words)
        passages = self._candidates(words, scope) if bones else []
        documents = {p.document.sha256: p.document for p in passages}
        places = (stands(words, bones, self.of(document)) for document in documents.values())
        return sorted(filter(None, places), key=lambda place: not place.verbatim)

    def _candidates(self, words: str, scope: Scope | None) -> list[Passage]:
        ids = self._library.lexical_best(terms(words), _CANDIDATES, scope)
        passages = self._library.passages(ids)
        return [passages[id] for id in ids]


def stream(document: Document, parts: Iterable[Section | Passage]) -> Stream:
    """Join the headings and paragraphs of a report."""
    kept = tuple(parts)
    texts = [_text(document, part) for part in kept]
    starts = [0]
    for text in texts[:-1]:
        starts.append(starts[-1] + len(text))
    whole = "".join(texts)
    bones, places = skeleton(whole)
    return Stream(document, whole, kept, tuple(starts), bones, np.array(places, np.int64))


def skeleton(text: str) -> tuple[str, list[int]]:
    """Return the characters that carry a text's words, and the offset of each.

    Letters and digits in one width, ％ and ‰, the point of a decimal, the sign of a number; blanks
    and the rest of the punctuation are dropped.
    """
    bones: list[str] = []
    places: list[int] = []
    for i, char in enumerate(text):
        kept = _kept(char)
        if not kept and char in ".．-－−" and text[i + 1 : i + 2].isdecimal():
            before = text[i - 1 : i].isdecimal()
            kept = "." if char in ".．" and before else "-" if char in "-－−" and not before else ""
        bones.append(kept)
        places += [i] * len(kept)
    return "".join(bones), places


@cache
def _kept(char: str) -> str:
    folded = unicodedata.normalize("NFKC", plain(char)).lower()
    return "".join(c for c in folded if c in _KEPT or unicodedata.category(c)[0] in "LN")


def stands(words: str, bones: str, among: Stream) -> Place | None:
    """Return where words stand in a report as they are, or else but for blanks and punctuation."""
    bare = words.strip()
    start = among.document.text.find(bare)
    if start >= 0:
        inside = _parts_of_source(among, start, start + len(bare))
        if inside:
            return Place(among.document, bare, inside, 1.0, True)
    at = among.bones.find(bones)
    return _place(among, at, at + len(bones), 1.0) if at >= 0 else None


def nearest(bones: str, among: Stream, passage: Passage) -> Place:
    """Return the stretch of a report around a passage that is nearest to some words.

    Nearest by Levenshtein distance to any stretch (Sellers 1980).
    """
    part = next(i for i, p in enumerate(among.parts) if p is passage or p == passage)
    end = among.starts[part] + len(_text(among.document, passage))
    low, high = np.searchsorted(among.places, [among.starts[part], end])
    low, high = max(0, int(low) - len(bones)), int(high) + len(bones)
    words, around = _codes(bones), _codes(among.bones[low:high])
    last = _distances(words, around, np.zeros(len(around) + 1, np.int64))
    stop = int(last.argmin())
    back = around[:stop][::-1]
    first = _distances(words[::-1], back, np.arange(len(back) + 1))
    start = stop - int(first.argmin())
    alike = 1 - int(last[stop]) / len(bones)
    return _place(among, low + start, low + stop, alike)


def _distances(
    words: npt.NDArray[np.int64], around: npt.NDArray[np.int64], row: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the edit distance of the words to what ends at each place; ``row`` is that of none."""
    steps = np.arange(len(around) + 1)
    for number, word in enumerate(words, 1):
        changed = np.minimum(row[:-1] + (around != word), row[1:] + 1)
        # what is put in: the least of all that stands further left, and a step for each
        row = np.minimum.accumulate(np.concatenate([[number], changed]) - steps) + steps
    return row


def _codes(text: str) -> npt.NDArray[np.int64]:
    return np.array([ord(char) for char in text], np.int64)


def _place(among: Stream, first: int, last: int, alike: float) -> Place:
    """Return the place of a stretch of a report's bones."""
    if first >= last:
        return Place(among.document, "", (), 0.0, False)
    start, end = int(among.places[first]), int(among.places[last - 1]) + 1
    low, high = (bisect.bisect_right(among.starts, at) - 1 for at in (start, end - 1))
    return Place(among.document, among.text[start:end], among.parts[low : high + 1], alike, False)


def _parts_of_source(among: Stream, start: int, end: int) -> tuple[Section | Passage, ...]:
    """Return what a stretch of the document's own text touches."""
    return tuple(
        part for part in among.parts if any(a < end and start < b for a, b in _spans(part))
    )


def _spans(part: Section | Passage) -> Sequence[tuple[int, int]]:
    return (part.span,) if isinstance(part, Section) else part.spans


def _text(document: Document, part: Section | Passage) -> str:
    return "".join(document.text[start:end] for start, end in _spans(part))
