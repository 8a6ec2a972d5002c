"""One question, many reports: what each of them says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.types import Document, Kind, Report, Span
from search.figures import asks_for_figure, best_figure, figures
from search.marks import answer_marks, marks
from search.pipeline import LookedAt, Opened, look_at, open_once, read
from search.query import Query, normalise, without_regions
from search.reader import Reading
from search.rerank import certainty
from search.retrieve import Ranked, Where, retrieve, term_weights
from search.scope import EVERYTHING, Filters, check_filters, chosen, within
from search.types import Hit

_NEAR_AT = 0.5
"""Standard deviations above the probes at which the best passage of a report is worth reading."""

_SAYS_AT = 0.3
"""Confidence of the reader at which a report is taken to tell of what is asked: keeps 0.948 of the
questions that a held-out report answers, refuses 0.647 of those it does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a report says: its best passage, None where it does not say.

    ``figure`` is the place in ``hit.text`` of the number asked for, None if none is asked or given.
    """

    document: Report
    hit: Hit | None
    figure: Span | None

    @property
    def number(self) -> str | None:
        """The number asked for in the report's own characters, with its qualifier and unit."""
        return self.hit.text[slice(*self.figure)] if self.hit and self.figure else None


def compare(
    query: str,
    *,
    documents: Sequence[str | Document] | str | Document | None = None,
    regions: Sequence[str] | str | None = None,
    years: Sequence[int] | int | None = None,
    kinds: Sequence[Kind] | Kind | None = None,
    library: Path | str | None = None,
) -> tuple[Row, ...]:
    """Ask every report the same question; return a row for each, in the order of the library.

    The filters are those of ``search``. Raises ``ReportError`` as ``search`` does.
    """
    asked = normalise(query)
    filters = check_filters(documents=documents, regions=regions, years=years, kinds=kinds)
    return compared(asked, open_once(library), filters)


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Return rows with the best answers first and those of reports that do not say last."""
    return sorted(rows, key=lambda row: -row.hit.score if row.hit else 1.0)


def compared(asked: Query, opened: Opened, filters: Filters = EVERYTHING) -> tuple[Row, ...]:
    """Do the work of ``compare`` on an opened library."""
    weights = term_weights(opened.library, asked)
    vector = opened.encoder.encode_query(without_regions(asked.text, opened.regions))
    ids = chosen(filters, opened.reports)
    reports = [report for report in opened.reports if ids is None or report.id in ids]
    best: dict[int, Ranked] = {}
    for report in reports:
        where = Where(within([report.id], filters.kinds))
        ranked = retrieve(opened.library, vector, weights, opened.floor, where)
        if ranked and _near(ranked[0], asked, opened, where):
            best[report.id] = ranked[0]
    looked_at = look_at([found.passage_id for found in best.values()], vector, opened.library)
    readings = read(asked, opened, looked_at)
    rows = []
    for report in reports:
        found = best.get(report.id)
        reading = readings.get(found.passage_id) if found else None
        if found is None or not (reading is None or certainty(reading) >= _SAYS_AT):
            rows.append(Row(report.document, None, None))
        else:
            seen = looked_at[found.passage_id]
            rows.append(_row(asked, opened, found, seen, reading, weights))
    return tuple(rows)


def _near(found: Ranked, asked: Query, opened: Opened, where: Where) -> bool:
    """Whether the best passage of a report is worth reading."""
    near = found.cosine >= opened.floor.mean + _NEAR_AT * opened.floor.deviation
    return near or opened.library.holds_all(asked.terms, where.scope)


def _row(
    asked: Query,
    opened: Opened,
    found: Ranked,
    seen: LookedAt,
    reading: Reading | None,
    weights: dict[str, float],
) -> Row:
    passage, figure = seen.passage, None
    if reading is None:
        places = marks(passage, seen.cosines, weights, opened.floor.mean)
    else:
        places = answer_marks(passage, reading.span)
        figure = next(iter(figures(passage.text, *reading.span)), None)
    if not asks_for_figure(asked.text):
        figure = None
    elif figure is None:
        figure = best_figure(asked.text, passage.text, places, weights)
    return Row(passage.document, Hit(passage, found.score, places), figure)
