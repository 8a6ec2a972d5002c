"""The years that a question names, and those that a passage tells of."""

from dataclasses import replace
from pathlib import Path

import pytest

from index import passages, read
from index.types import Passage
from search import search
from search.years import may_tell, named, told
from tests.conftest import REPORT


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("2019年受理多少件", {2019}),
        ("二〇一九年和2 0 2 0 年", {2019, 2020}),
        ("2016—2018年", {2016, 2017, 2018}),
        ("2016年至2018年", {2016, 2017, 2018}),
        ("“十三五”以来", {2016, 2017, 2018, 2019, 2020}),
        ("十五五规划", {2026, 2027, 2028, 2029, 2030}),
        ("十五计划", {2001, 2002, 2003, 2004, 2005}),
        ("第十三五小学的十五万人", set()),
        ("编号20190号，三五年", set()),
    ],
)
def test_years_are_named_in_many_ways(text: str, years: set[int]) -> None:
    assert named(text) == years


@pytest.fixture
def passage() -> Passage:
    """What was done in 2019, in a report on 2019."""
    return next(p for p in passages(read(REPORT)) if p.kind == "已完成" and not named(p.text))


def test_a_passage_tells_of_the_year_of_its_report(passage: Passage) -> None:
    assert told(passage) == {2019}
    assert may_tell(frozenset({2019, 2011}), passage)
    assert not may_tell(frozenset({2020}), passage)
    assert may_tell(frozenset(), passage)


def test_a_plan_tells_of_the_next_year(passage: Passage) -> None:
    assert told(replace(passage, kind="计划")) == {2019, 2020}


def test_a_report_on_the_work_of_a_government_tells_of_the_last_year(passage: Passage) -> None:
    given = replace(passage.document, title="2019年河南省政府工作报告")
    assert told(replace(passage, document=given)) == {2018, 2019}


def test_a_title_of_two_years_tells_of_both(passage: Passage) -> None:
    budget = replace(passage.document, title="关于2018年预算执行情况和2019年预算草案的报告")
    assert told(replace(passage, document=budget)) == {2018, 2019}


@pytest.mark.parametrize(
    ("said", "years"),
    [
        ("比上年增长5%", {2018, 2019}),
        ("五年来新增30万人", {2014, 2015, 2016, 2017, 2018, 2019}),
        ("到2025年建成", {2019, 2025}),
    ],
)
def test_a_passage_tells_of_the_years_that_it_says(
    passage: Passage, said: str, years: set[int]
) -> None:
    document = replace(passage.document, text=said)
    assert told(replace(passage, document=document, spans=((0, len(said)),), section=None)) == years


def test_a_report_of_no_known_year_may_tell_of_any(passage: Passage) -> None:
    unknown = replace(passage, document=replace(passage.document, year=None))
    assert told(unknown) is None and may_tell(frozenset({1999}), unknown)


def test_a_year_that_the_report_does_not_tell_of_is_not_found(real: Path) -> None:
    assert search("2019年受理行政复议案件多少件", library=real).answer
    other = search("2015年受理行政复议案件多少件", library=real)
    assert (other.found, other.answer, len(other)) == (False, None, 5)
