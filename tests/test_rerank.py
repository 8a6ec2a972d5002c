"""What becomes of what the reader says, with a reader that says what it is told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from search import ReportError, Results, pipeline, rerank
from search.compare import compared
from search.marks import answer_marks
from search.pipeline import Opened, answer, open_once, rank, read
from search.query import normalise
from search.reader import Reader, Reading, Window
from search.rerank import FOUND_AT, READ, certainty, reordered
from search.retrieve import Ranked
from search.scope import check_filters

QUESTION = "行政复议受理了多少件？"


class Told:
    """A reader that gives each window the logit it is told, and its first word as the answer."""

    def __init__(self, holds: Callable[[Window], float]) -> None:
        self._holds = holds
        self.windows: list[Window] = []

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        self.windows += windows
        return [Reading(w, (w.start, w.start + 2), self._holds(w)) for w in windows]


def asked(
    library: Path, holds: Callable[[Window], float], question: str = QUESTION, top_k: int = 5
) -> Results:
    opened = replace(open_once(library), reader=cast(Reader, Told(holds)))
    return answer(normalise(question), opened, top_k=top_k)


def ranked(*scores: float) -> list[Ranked]:
    return [Ranked(id, b"%d" % id, score, 0.5, 0.5) for id, score in enumerate(scores, 1)]


def reading(holds: float) -> Reading:
    return Reading(cast(Window, None), (0, 1), holds)


def test_what_was_read_gains_and_ties_stay_in_order() -> None:
    found = reordered(ranked(0.5, 0.45, 0.45, 0.4), {1: reading(-9), 2: reading(9), 3: reading(9)})
    assert [each.passage_id for each in found] == [2, 3, 1, 4]
    assert [each.score for each in found] == sorted((e.score for e in found), reverse=True)
    assert reordered(ranked(0.99), {1: reading(99)})[0].score == 1.0


def test_a_surer_reading_is_more_certain() -> None:
    assert 0 < certainty(reading(-5)) < FOUND_AT < certainty(reading(5)) < 1


def test_the_best_few_different_passages_are_read(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerank, "READING_WEIGHT", 1.0)  # whatever is read may come first
    reader = Told(lambda _: 0.0)
    opened = replace(open_once(library), reader=cast(Reader, reader))
    answer(normalise(QUESTION), opened, top_k=1)
    numbers = [window.passage.number for window in reader.windows]
    assert len(numbers) == len(set(numbers)) == READ


@pytest.mark.parametrize("holds", [9.0, 0.0, -9.0])
def test_what_cannot_come_first_is_not_read_and_what_is_first_stays_so(
    library: Path, monkeypatch: pytest.MonkeyPatch, holds: float
) -> None:
    told = Told(lambda window: holds - 3 * (window.passage.number % 2))
    opened = replace(open_once(library), reader=cast(Reader, told))
    few = rank(normalise(QUESTION), opened)
    some = len(told.windows)
    monkeypatch.setattr(
        pipeline, "_read_best", lambda asked, opened, _, all: read(asked, opened, all)
    )
    every = rank(normalise(QUESTION), opened)
    assert few.ranked[0] == every.ranked[0]
    assert (few.confidence, few.answer) == (every.confidence, every.answer)
    assert some < READ == len(every.readings)


def test_a_sure_reading_is_the_answer_and_is_marked(library: Path) -> None:
    results = asked(library, lambda _: 9.0)
    said = results.answer
    assert results.found and said and said.hit is results[0]
    assert said.text == said.hit.text[said.start : said.end]
    assert said.confidence == results.confidence == certainty(reading(9.0))
    assert (said.start, said.end) in said.hit.marks
    assert [hit.score for hit in results] == sorted((h.score for h in results), reverse=True)


def test_no_sure_reading_means_not_found_and_no_answer(library: Path) -> None:
    results = asked(library, lambda _: -9.0)
    assert (results.found, results.answer, len(results)) == (False, None, 5)
    assert results.confidence == certainty(reading(-9.0))


def test_words_that_all_stand_in_a_passage_are_found_but_are_no_answer(library: Path) -> None:
    results = asked(library, lambda _: -9.0, "数据孤岛")
    assert (results.found, results.answer) == (True, None)


def test_filters_that_leave_nothing_find_nothing_surely(library: Path) -> None:
    opened = replace(open_once(library), reader=cast(Reader, Told(lambda _: 9.0)))
    filters = check_filters(documents=None, regions="不在资料库里的地方", years=None, kinds=None)
    with pytest.raises(ReportError):
        answer(normalise(QUESTION), opened, top_k=5, filters=filters)


@pytest.mark.parametrize("holds", [9.0, -9.0])
def test_a_report_says_what_the_reader_is_sure_of(library: Path, holds: float) -> None:
    opened: Opened = replace(open_once(library), reader=cast(Reader, Told(lambda _: holds)))
    (row,) = compared(normalise(QUESTION), opened)
    assert (row.hit is not None) == (holds > 0)
    if row.hit and row.figure:
        start, end = row.hit.marks[0]
        assert start <= row.figure[0] < row.figure[1] <= end


def test_the_answer_lies_within_its_sentence(library: Path) -> None:
    for passage in open_once(library).library.passages(range(1, 35)).values():
        for segment in (s for s in passage.segments if s.grain == "clause"):
            whole, *inner = answer_marks(passage, (segment.start, segment.end))
            assert whole[0] <= segment.start + 1 and segment.end - 1 <= whole[1]
            assert inner in ([], [(segment.start, segment.end)])
