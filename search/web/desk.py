"""What is asked of a library from outside: answered a few at a time, each with a line in the log."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from index.errors import ReportError
from index.library import Location
from search import evidence, records
from search.check import checked
from search.compare import compared
from search.pipeline import Opened, answer, open_once
from search.query import check_top_k, normalise
from search.reading import reading
from search.scope import Filters, check_filters
from search.web.cards import cards, comparison
from search.web.drafts import draft
from search.web.gate import log
from search.web.report import report

TOP_K = 5
RUNNING = 2
"""Questions answered at the same time: two already keep two cores busy."""

WAITING = 30
"""Questions that wait for their turn; whoever comes then is told to try again."""

Chosen = Sequence[Any]


class Busy(ReportError):
    """Too many wait already."""


class Desk:
    """One library, newest state, asked by many. Thread-safe."""

    def __init__(self, library: Location | None, *, log_questions: bool = False) -> None:
        self._library = library
        self._log_questions = log_questions
        self._running = threading.BoundedSemaphore(RUNNING)
        self._inside = 0
        self._lock = threading.Lock()

    def opened(self) -> Opened:
        """Return the library as it is now. Raises ``ReportError`` if it cannot be opened."""
        return open_once(self._library)

    def ask(self, question: str, chosen: Chosen = ()) -> str:
        """Return the cards of a question as HTML; ``chosen`` are the values of the filters."""
        with self._turn("search", question):
            opened = self.opened()
            filters = _filters(opened, chosen)
            results = answer(normalise(question), opened, top_k=TOP_K, filters=filters)
        return cards(results, several=len(opened.reports) > 1)

    def ask_each(self, question: str, chosen: Chosen = ()) -> str:
        """Return what each report says as an HTML table."""
        with self._turn("compare", question):
            opened = self.opened()
            rows = compared(normalise(question), opened, _filters(opened, chosen))
        return comparison(question, rows)

    def check(self, text: str) -> str:
        """Return what became of the quotations of a draft as HTML."""
        with self._turn("check", text):
            return draft(checked(text, self.opened()))

    def report(self, sha256: str) -> str | None:
        """Return the report whose hash begins so as HTML; None if there is none."""
        with self._turn("report"):
            opened = self.opened()
            hashes = ((each.id, each.document.sha256) for each in opened.reports)
            id = next((i for i, h in hashes if len(sha256) > 7 and h.startswith(sha256)), None)
            if id is None:
                return None
            found = opened.library.document(id)
            return report(found, reading(opened.library, found))

    def export(self, chosen: object, format: evidence.Format) -> bytes:
        """Return chosen passages as a file; ``chosen`` as ``evidence.collect`` has it."""
        with self._turn("evidence"):
            pack = evidence.collect(chosen, self.opened(), made=datetime.now().astimezone())
            return evidence.write(pack, format)

    def search_record(self, question: str, top_k: int, **where: Any) -> records.Record:
        """Return the hits of a question as a record."""
        with self._turn("search", question):
            asked, limit, filters = normalise(question), check_top_k(top_k), named(**where)
            return records.of_results(answer(asked, self.opened(), top_k=limit, filters=filters))

    def compare_record(self, question: str, **where: Any) -> records.Record:
        """Return what each report says as a record."""
        with self._turn("compare", question):
            rows = compared(normalise(question), self.opened(), named(**where))
            return {"rows": [records.of_row(row) for row in rows]}

    def check_record(self, text: str, **where: Any) -> records.Record:
        """Return what became of a draft as a record."""
        with self._turn("check", text):
            return records.of_checked(checked(text, self.opened(), named(**where)))

    @contextlib.contextmanager
    def _turn(self, kind: str, text: object = None) -> Iterator[None]:
        """Wait for a turn and log what was done with it; the text only if that is wanted.

        Raises ``Busy`` if too many wait already.
        """
        length = len(text) if isinstance(text, str) else 0
        with self._lock:
            if self._inside >= RUNNING + WAITING:
                log(kind, length=length, outcome="busy", ms=0.0)
                raise Busy("现在提问的人太多，正忙，请过几秒再试。")
            self._inside += 1
        started = time.perf_counter()
        outcome = "failed"
        try:
            with self._running:
                yield
            outcome = "answered"
        except ReportError:
            outcome = "refused"
            raise
        finally:
            with self._lock:
                self._inside -= 1
            told: dict[str, object] = (
                {"question": text} if self._log_questions and text is not None else {}
            )
            took = round((time.perf_counter() - started) * 1000, 1)
            log(kind, length=length, outcome=outcome, ms=took, **told)


def named(
    documents: Any = None, regions: Any = None, years: Any = None, kinds: Any = None
) -> Filters:
    """Return filters; an empty list is none. Raises ``ReportError`` as ``check_filters`` does."""
    return check_filters(
        documents=documents or None,
        regions=regions or None,
        years=years or None,
        kinds=kinds or None,
    )


def _filters(opened: Opened, chosen: Chosen) -> Filters:
    """Return the filters. Raises ``ReportError`` if a chosen report was removed meanwhile."""
    known = {each.document.sha256 for each in opened.reports}
    documents, regions, years, kinds = (list(values or ()) for values in chosen or ((),) * 4)
    if not known.issuperset(documents):
        raise ReportError("所选的报告已不在资料库里，请刷新网页后重新选择。")
    return named(documents, regions, years, kinds)
