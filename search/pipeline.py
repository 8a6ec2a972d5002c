"""From a question to cited passages."""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.columns import Scope
from index.contract import Store
from index.encoder import LOADING, Encoder, Vectors
from index.errors import ReportError
from index.library import Location, locate, open_library, settle, writer
from index.milvus import Address
from index.types import Document, Kind, Passage, Segment, Span
from search.locate import Streams
from search.marks import answer_marks, marks
from search.named import Named, may_tell
from search.query import Query, check_top_k, normalise, without_regions
from search.reader import Reader, Reading, load_reader, window_around
from search.rerank import FOUND_AT, READ, certainty, gained, reordered
from search.retrieve import Noise, Ranked, Where, bears, noise, retrieve, term_weights
from search.scope import (
    EVERYTHING,
    Filters,
    Listed,
    check_filters,
    chosen,
    list_reports,
    preferred,
    within,
)
from search.types import Answer, Hit, Results


@dataclass(frozen=True, slots=True)
class Opened:
    """A library with its encoder and what is measured or read of it once."""

    library: Store
    encoder: Encoder
    reader: Reader | None
    floor: Noise
    reports: tuple[Listed, ...]
    regions: tuple[str, ...]
    streams: Streams


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A passage, and how near its segments are to a question: cosines float32 [segments]."""

    passage: Passage
    cosines: Vectors

    @property
    def nearest(self) -> Segment:
        """The segment nearest to the question."""
        return self.passage.segments[int(self.cosines.argmax())]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates for a question within ``scope``, best first.

    ``vector`` is the question's, ``weights`` are its terms'. By passage id: the best of them
    ``looked_at`` and the ``readings`` that the reader made of these. ``confidence`` is the probability
    that one of them answers, at which ``found`` is told.
    """

    vector: Vectors
    weights: dict[str, float]
    ranked: list[Ranked]
    looked_at: dict[int, LookedAt]
    readings: dict[int, Reading]
    confidence: float | None
    found: bool
    scope: Scope | None

    @property
    def answer(self) -> Reading | None:
        """What the reader found in the first passage, None if it is not sure enough."""
        reading = self.readings.get(self.ranked[0].passage_id) if self.ranked else None
        sure = reading is not None and certainty(reading) >= FOUND_AT
        return reading if sure and self.found else None


_LOOKED_THROUGH = 40
"""Candidates looked through for what tells of the years and places that a question names."""

_opened: dict[Location, Opened] = {}
_opening: dict[Location, threading.Lock] = {}  # a slow library holds up its own questions only


def search(
    query: str,
    *,
    top_k: int = 5,
    documents: Sequence[str | Document] | str | Document | None = None,
    regions: Sequence[str] | str | None = None,
    years: Sequence[int] | int | None = None,
    kinds: Sequence[Kind] | Kind | None = None,
    library: Path | str | None = None,
) -> Results:
    """Return the passages that answer a question, best first, at most ``top_k``.

    ``documents`` (by file name, title or sha256), ``regions``, ``years`` (of the report) and
    ``kinds`` leave only passages of these. ``library`` is a folder; without it the default library
    is used, and built first if it is not there. A library is opened once and again when it has
    changed. Thread-safe. Raises ``ReportError``, a Chinese sentence for the user, and nothing else.
    """
    asked = normalise(query)
    limit = check_top_k(top_k)
    filters = check_filters(documents=documents, regions=regions, years=years, kinds=kinds)
    return answer(asked, open_once(library), top_k=limit, filters=filters)


def answer(asked: Query, opened: Opened, *, top_k: int, filters: Filters = EVERYTHING) -> Results:
    """Return the best passages of an opened library for a checked question."""
    ranking = rank(asked, opened, filters)
    library, looked_at = opened.library, ranking.looked_at
    best = _distinct(ranking.ranked, top_k)
    new = [found.passage_id for found in best.values() if found.passage_id not in looked_at]
    looked_at = looked_at | look_at(new, ranking.vector, library)
    also = _copies(best, library, ranking.scope)
    hits = tuple(
        Hit(
            looked_at[found.passage_id].passage,
            found.score,
            _marks(looked_at[found.passage_id], found, ranking, opened),
            also[digest],
        )
        for digest, found in best.items()
    )
    return Results(
        asked.question,
        hits,
        ranking.found and bool(hits),
        ranking.confidence,
        _answer(hits[0], ranking.answer) if ranking.answer else None,
    )


def _marks(seen: LookedAt, found: Ranked, ranking: Ranking, opened: Opened) -> tuple[Span, ...]:
    reading = ranking.readings.get(found.passage_id)
    if ranking.found and reading and certainty(reading) >= FOUND_AT:
        return answer_marks(seen.passage, reading.span)
    return marks(seen.passage, seen.cosines, ranking.weights, opened.floor.mean)


def _answer(hit: Hit, reading: Reading) -> Answer:
    start, end = reading.span
    return Answer(hit.text[start:end], hit, start, end, certainty(reading))


def rank(asked: Query, opened: Opened, filters: Filters = EVERYTHING) -> Ranking:
    """Return every candidate passage for a question, and whether any answers it.

    The retriever finds them; the reader reads the best few and puts these in order.
    """
    library = opened.library
    weights = term_weights(library, asked)
    vector = opened.encoder.encode_query(without_regions(asked.text, opened.regions))
    ids = chosen(filters, opened.reports)
    reports = opened.reports if ids is None else [r for r in opened.reports if r.id in ids]
    bonus = preferred(asked.text, reports, opened.regions)
    scope = within(ids, filters.kinds)
    favoured = within(bonus, filters.kinds) if bonus else None
    ranked = retrieve(library, vector, weights, opened.floor, Where(scope, bonus, favoured))
    ranked, silent = _silent_last(ranked, Named.of(asked.text, opened.regions), library)
    best = [b for b in _distinct(ranked, READ).values() if b.passage_id not in silent]
    looked_at = look_at([found.passage_id for found in best], vector, library)
    readings = _read_best(asked, opened, best, looked_at)
    ranked = reordered(ranked, readings)
    sure = None if opened.reader is None else 0.0
    if ranked and ranked[0].passage_id in readings:
        sure = certainty(readings[ranked[0].passage_id])
    found = bears(ranked, opened.floor) and (sure is None or sure >= FOUND_AT)
    found = found and ranked[0].passage_id not in silent
    found = found or library.holds_all(asked.terms, scope)
    return Ranking(vector, weights, ranked, looked_at, readings, sure, found, scope)


def look_at(ids: Sequence[int], vector: Vectors, library: Store) -> dict[int, LookedAt]:
    """Return passages by id with the nearness of their segments to float32 [dim]."""
    if not ids:
        return {}
    passages, cosines = library.passages(ids), library.cosines(vector, ids)
    return {id: LookedAt(passages[id], cosines[id]) for id in ids}


def read(asked: Query, opened: Opened, looked_at: Mapping[int, LookedAt]) -> dict[int, Reading]:
    """Return what the reader makes of passages, by id; nothing where there is no reader.

    It reads around the segment nearest to the question.
    """
    if opened.reader is None:
        return {}
    windows = [window_around(seen.passage, seen.nearest) for seen in looked_at.values()]
    return dict(zip(looked_at, opened.reader.read(asked.text, windows), strict=True))


def _read_best(
    asked: Query, opened: Opened, best: Sequence[Ranked], looked_at: Mapping[int, LookedAt]
) -> dict[int, Reading]:
    """Read passages, best first, as long as one could still come first whatever is read in it."""
    readings: dict[int, Reading] = {}
    leading = -1.0
    for found in best:
        if gained(found, 1.0) <= leading:
            break
        id = found.passage_id
        readings |= read(asked, opened, {id: looked_at[id]})
        if id in readings:
            leading = max(leading, gained(found, certainty(readings[id])))
    return readings


def _silent_last(
    ranked: list[Ranked], named: Named, library: Store
) -> tuple[list[Ranked], frozenset[int]]:
    """Put the best passages that tell of what a question names before the others; name the others.

    These keep at most the score of the last that does tell.
    """
    if not (named.years or named.places or named.reports):
        return ranked, frozenset()
    best, rest = ranked[:_LOOKED_THROUGH], ranked[_LOOKED_THROUGH:]
    passages = library.passages([found.passage_id for found in best])
    telling = [found for found in best if may_tell(named, passages[found.passage_id])]
    silent = frozenset(passages) - {found.passage_id for found in telling}
    least = telling[-1].score if telling else 1.0
    others = [
        found._replace(score=min(found.score, least))
        for found in best
        if found.passage_id in silent
    ]
    return [*telling, *others, *rest], silent


def _distinct(ranked: Sequence[Ranked], count: int) -> dict[bytes, Ranked]:
    """Return the best passages that say different things, by the digest of what they say."""
    best: dict[bytes, Ranked] = {}
    for found in ranked:
        if len(best) == count:
            break
        best.setdefault(found.digest, found)
    return best


def _copies(
    best: Mapping[bytes, Ranked], library: Store, scope: Scope | None
) -> dict[bytes, tuple[Passage, ...]]:
    """Return the other passages of the library that say what one says, by digest."""
    shown = {found.passage_id for found in best.values()}
    found = library.copies(list(best), scope)
    passages = library.passages([id for id in found if id not in shown])
    copies: dict[bytes, tuple[Passage, ...]] = dict.fromkeys(best, ())
    for id, passage in passages.items():
        copies[found[id]] += (passage,)
    return copies


def open_once(library: Location | str | None = None) -> Opened:
    """Return a library opened at its newest generation, and its encoder."""
    if library is not None and not (isinstance(library, str | os.PathLike | Address) and library):
        raise ReportError(
            "资料库应当是一个文件夹的路径或 milvus:// 地址，收到的是空的或别的东西，"
            "请改正，或不写这个参数。"
        )
    where = locate(library)
    with _opening.setdefault(where, threading.Lock()):
        known = _opened.get(where)
        if known and known.library.is_newest():
            return known
        loaded = known.encoder if known else None
        if known and writer(where).version():
            del known, _opened[where]  # closes it, unless another thread still reads it
            settle(where)
        fresh, encoder = open_library(None if library is None else where, encoder=loaded)
        _opened[where] = prepare(fresh, encoder)
        return _opened[where]


def prepare(library: Store, encoder: Encoder) -> Opened:
    """Return an open library with its encoder, the reader and what is measured of it once."""
    reports = list_reports(library)
    regions = sorted(filter(None, {report.region for report in reports}))
    with LOADING:
        reader = load_reader()
    return Opened(
        library,
        encoder,
        reader,
        noise(library),
        reports,
        tuple(regions),
        Streams(library),
    )
