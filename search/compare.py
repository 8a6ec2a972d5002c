"""One question, many reports: what each of them says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.types import Document, Kind, Span
from search.figures import asks_for_figure, best_figure
from search.marks import marks
from search.pipeline import Opened, open_once
from search.query import Query, normalise, without_regions
from search.retrieve import Ranked, Where, retrieve, term_weights
from search.scope import EVERYTHING, Filters, check_filters, chosen, within
from search.types import Hit

_SAYS_AT = 0.5
"""Standard deviations above the probes at which the best passage of a report tells of what is asked.
Of 150 paraphrased questions on 49 reports this keeps the asked report between 0.96 (at 0) and 0.79
(at 1), and shows something of 0.74 to 0.46 of other reports, many of which tell of it as well."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a report says: its best passage, None where it does not say.

    ``figure`` is the place in ``hit.text`` of the number asked for, None if none is asked or given.
    """

    document: Document
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
    rows = []
    for report in opened.reports:
        if ids is not None and report.id not in ids:
            continue
        where = Where(within(opened.library, [report.id], filters.kinds))
        ranked = retrieve(opened.library, vector, weights, opened.floor, where)
        said = next((found for found in ranked[:1] if _says(found, asked, opened, where)), None)
        rows.append(_row(asked, opened, report.document, said, weights))
    return tuple(rows)


def _says(found: Ranked, asked: Query, opened: Opened, where: Where) -> bool:
    """Whether the best passage of a report tells of what is asked."""
    near = found.cosine >= opened.floor.mean + _SAYS_AT * opened.floor.deviation
    return near or opened.library.holds_all(asked.terms, where.scope)


def _row(
    asked: Query, opened: Opened, document: Document, said: Ranked | None, weights: dict[str, float]
) -> Row:
    if said is None:
        return Row(document, None, None)
    passage = opened.library.passages([said.passage_id])[said.passage_id]
    places = marks(passage.text, said.matches, weights, opened.floor.mean)
    wanted = asks_for_figure(asked.text)
    figure = best_figure(asked.text, passage.text, places, weights) if wanted else None
    return Row(document, Hit(passage, said.score, places), figure)
