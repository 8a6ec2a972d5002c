"""The years and places that a question names, and whether a passage tells of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from index import Encoder, add, passages, read
from index.terms import fold
from index.types import Passage
from search import search
from search.named import Named, _told, may_tell, written
from search.places import PROVINCE_OF, places_in
from search.reader import above
from tests.conftest import REPORT


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("2019年受理多少件", {2019}),
        ("2018年和2019年各受理多少件", {2018, 2019}),
        ("二〇一九年受理多少件", {2019}),
        ("2016—2018年", {2016, 2017, 2018}),
        ("2016年1月至2018年3月", {2016, 2017, 2018}),
        ("“十三五”以来", {2016, 2017, 2018, 2019, 2020}),
        ("十五五规划", {2026, 2027, 2028, 2029, 2030}),
        ("第十三五小学的十五万人", set()),
        ("补贴2000元以上的、超过2000条的", set()),
        ("郑政文〔2020〕23号是谁签发的", set()),
        ("2020年2月印发的报告是谁签发的", set()),
        ("城市更新条例（2018年修订）管什么", set()),
    ],
)
def test_a_question_asks_about_years(question: str, expected: set[int]) -> None:
    assert Named.of(fold(question), ()).years == expected


@pytest.fixture
def passage() -> Passage:
    """What was done in 2019, in a report on 2019."""
    return next(p for p in passages(read(REPORT)) if p.kind == "已完成" and not written(p.text))


def told(passage: Passage) -> set[int]:
    return set().union(*_told(passage))


def test_a_passage_tells_of_the_year_of_its_report(passage: Passage) -> None:
    assert told(passage) == {2019}
    assert may_tell(Named.of("2019年和2011年", ()), passage)
    assert not may_tell(Named.of("2020年", ()), passage)
    assert may_tell(Named.of("多少件", ()), passage)


def test_a_plan_tells_of_the_next_year(passage: Passage) -> None:
    assert told(replace(passage, kind="计划")) == {2019, 2020}


def test_a_report_on_the_work_of_a_government_tells_of_the_last_year(passage: Passage) -> None:
    given = replace(passage.document, title="2019年河南省政府工作报告")
    assert told(replace(passage, document=given)) == {2018}
    assert told(replace(passage, document=given, kind="不足")) == {2018, 2019}


def test_a_heading_tells_of_which_year_it_is(passage: Passage) -> None:
    assert passage.section
    section = replace(passage.section, path=("一、2018年工作回顾", "（一）改革"))
    assert told(replace(passage, section=section)) == {2018}


def test_a_plan_of_a_government_is_of_the_year_of_its_report(passage: Passage) -> None:
    given = replace(passage.document, title="2019年河南省政府工作报告")
    assert told(replace(passage, document=given, kind="计划")) == {2019}


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("2019年郑州市政府工作报告里受理多少件", True),
        ("郑州市2019年政府工作报告说的受理多少件", True),
        ("2018年郑州市政府工作报告里受理多少件", False),
        ("二〇一九年郑州市政府工作报告里受理多少件", True),
        ("2019年1月27日郑州市政府工作报告里受理多少件", True),
        ("郑州市政府2019年工作报告里受理多少件", True),
        ("郑州市人民政府的2018年工作报告里受理多少件", False),
        ("郑州市政府2018年1月的工作报告里受理多少件", False),
        ("郑州市人民政府2018年度工作报告里受理多少件", True),
        ("2018年1月27日在市第十五届人民代表大会第二次会议上的政府工作报告里受理多少件", False),
        ("2018年1月1日起受理多少件，政府工作报告怎么说", True),
        ("2018年郑州市《政府工作报告》里受理多少件", False),
        ("郑州市政府工作报告（2018）里受理多少件", False),
        ("郑州市“政府工作报告”2018里受理多少件", False),
        ("郑州市政府工作报告2018年受理多少件", True),
        ("2019年政府工作报告里2018年受理多少件", True),
        ("2019年政府工作报告里2019年受理多少件", False),
        ("2018年受理多少件", True),
        ("2019年受理多少件", False),
    ],
)
def test_a_report_on_work_is_named_by_the_year_in_which_it_is_given(
    passage: Passage, question: str, answers: bool
) -> None:
    given = replace(passage.document, title="2019年郑州市政府工作报告")
    named = Named.of(question, ())
    assert may_tell(named, replace(passage, document=given)) == answers
    assert may_tell(named, passage) == (2019 in named.years | named.reports)


def test_an_amount_behind_the_name_of_a_report_is_no_year() -> None:
    assert not Named.of("政府工作报告2000件、2011亿元里受理多少件", ()).reports


def test_the_reader_is_told_the_year_of_what_was_done_where_no_heading_is(passage: Passage) -> None:
    given = replace(passage.document, title="2019年河南省政府工作报告")
    assert passage.section
    undated = replace(passage, document=given)
    dated = replace(undated, section=replace(passage.section, path=("一、2018年工作回顾",)))
    assert above(undated).split()[:3] == ["2019年河南省政府工作报告", "已完成", "2018年"]
    assert above(dated).split() == ["2019年河南省政府工作报告", "已完成", "一、2018年工作回顾"]
    assert "2018年" not in above(replace(undated, kind="计划"))
    assert "2018年" not in above(passage)


def test_a_title_of_two_years_tells_of_both(passage: Passage) -> None:
    budget = replace(passage.document, title="关于2018年预算执行情况和2019年预算草案的报告")
    assert told(replace(passage, document=budget)) == {2018, 2019}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("比上年增长5%", {2018, 2019}),
        ("五年来新增30万人", {2014, 2015, 2016, 2017, 2018, 2019}),
        ("近3年累计新增30万人", {2016, 2017, 2018, 2019}),
        ("２０１６年以来持续下降", {2016, 2017, 2018, 2019}),
        ("明年再增5所", {2019, 2020}),
        ("到2025年建成", {2019, 2025}),
    ],
)
def test_a_passage_tells_of_the_years_that_it_says(
    passage: Passage, said: str, expected: set[int]
) -> None:
    document = replace(passage.document, text=said)
    assert (
        told(replace(passage, document=document, spans=((0, len(said)),), section=None)) == expected
    )


def test_a_report_of_no_known_year_may_tell_of_any(passage: Passage) -> None:
    unknown = replace(passage, document=replace(passage.document, year=None))
    assert may_tell(Named.of("1999年", ()), unknown)


@pytest.mark.parametrize(
    ("question", "tells"),
    [
        ("郑州市受理多少件", True),
        ("河南郑州受理多少件", True),
        ("洛阳受理多少件", False),
        ("湖北省受理多少件", False),
        ("各区县受理多少件", True),
        ("全国受理多少件", True),
    ],
)
def test_a_passage_tells_of_the_place_that_reports(
    passage: Passage, question: str, tells: bool
) -> None:
    named = Named.of(question, ("全国", "洛阳", "郑州"))
    assert may_tell(named, passage) is tells
    of_none = replace(passage.document, title=None, issuer=None)
    assert of_none.region is None and may_tell(named, replace(passage, document=of_none))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("大同市和泰州市各有几件", ["大同", "泰州"]),
        ("红河州、西双版纳州的学校", ["红河", "西双版纳"]),
        ("2019年河南洛阳、山东营商环境", ["河南", "山东", "洛阳"]),
        ("去年来武汉的、从成都到西安的", ["武汉", "成都", "西安"]),
        ("郑州洛阳两市", ["郑州", "洛阳"]),
        ("衡水、运城、丽水、成都都市圈", ["衡水", "运城", "丽水", "成都"]),
        ("其中卫生部门延长春节假期、整治文山会海吗", []),
        ("重大理论和制定西部政策", []),
        ("均衡水平、各自贡献率、复合肥、美丽水乡", []),
        ("形成都市圈、建成都市农业、亚运城市、客运城乡", []),
        ("面临夏季用电高峰、下达州市补助、运营口岸", []),
        ("日常德育、传承德孝、公安阳光执法、公益阳光", []),
        ("苏州河、峨眉山、黄浦江和大厦门前", []),
        ("湖南宁乡、陕西安康市", ["湖南", "陕西", "安康"]),
        ("内蒙的鄂尔多斯和内蒙古的包头", ["内蒙古", "内蒙古", "鄂尔多斯", "包头"]),
    ],
)
def test_places_are_known_by_name(question: str, expected: list[str]) -> None:
    assert places_in(question) == expected


def test_every_city_is_known_with_its_suffix_and_province() -> None:
    assert len(PROVINCE_OF) > 300
    for city in PROVINCE_OF:
        assert any(places_in(f"去年在{city}{s}") == [city] for s in ("市", "州", "地区"))
    known = ("郑州", "河南"), ("自贡", "四川"), ("衡水", "河北"), ("红河", "云南"), ("阿里", "西藏")
    assert [PROVINCE_OF[city] for city, _ in known] == [province for _, province in known]


@pytest.mark.parametrize(
    ("title", "question", "tells"),
    [
        ("郑州市2019年度工作报告", "洛阳市受理多少件", False),
        ("郑州市2019年度工作报告", "武汉受理多少件", False),
        ("2019年河南省政府工作报告", "洛阳办事要跑几次", True),
        ("2019年河南省政府工作报告", "济南办事要跑几次", False),
        ("2019年国务院政府工作报告", "济南办事要跑几次", False),
        ("2019年湖南省政府工作报告", "河南长沙办事要跑几次", True),
        ("2019年国务院政府工作报告", "山东省办事要跑几次", False),
    ],
)
def test_what_a_province_reports_is_told_of_its_cities(
    passage: Passage, title: str, question: str, tells: bool
) -> None:
    document = replace(passage.document, title=title, issuer=None)
    assert document.region
    assert may_tell(Named.of(question, ()), replace(passage, document=document)) is tells


def test_a_passage_tells_of_the_places_that_it_says(passage: Passage) -> None:
    said = "与湖北签订协议5项。"
    document = replace(passage.document, text=said)
    about = replace(passage, document=document, spans=((0, len(said)),))
    assert may_tell(Named.of("和湖北签了几项协议", ("郑州",)), about)


def test_what_tells_of_the_year_is_read_however_many_come_before(
    tmp_path: Path, encoder: Encoder
) -> None:
    for year in range(2011, 2020):
        asks = (
            f"全年收到复议申请{year - 1900}件。"
            if year == 2019
            else f"全年受理行政复议案件{year - 1900}件。"
        )
        file = tmp_path / f"{year}.md"
        file.write_text(f"甲市人民政府关于{year}年度工作的报告\n一、成效\n{asks}\n", "utf-8")
        add(file, tmp_path / "library", encoder=encoder)
    results = search("2019年受理行政复议案件多少件", library=tmp_path / "library", top_k=9)
    assert results[0].document.year == 2019
    scores = [hit.score for hit in results]
    assert scores == sorted(scores, reverse=True)


def test_a_year_or_place_that_the_report_does_not_tell_of_is_not_found(real: Path) -> None:
    for question in ("2019年受理行政复议案件多少件", "郑政文〔2020〕23号里行政复议受理了多少件？"):
        assert search(question, library=real).answer
    for question in ("2015年受理行政复议案件多少件", "湖北受理行政复议案件多少件"):
        other = search(question, library=real)
        assert (other.found, other.answer, len(other)) == (False, None, 5)


def test_a_numeral_without_end_is_no_count_of_years(passage: Passage) -> None:
    said = f"近{'九' * 5_000}年来受理5件。"
    document = replace(passage.document, text=said)
    about = replace(passage, document=document, spans=((0, len(said)),))
    assert may_tell(Named.of("2019年受理多少件", ()), about)
    assert not may_tell(Named.of("1919年受理多少件", ()), about)


@pytest.mark.parametrize(
    ("said", "years"),
    [
        ("收入1993.5万元，2000户、2011亿元", {2019}),
        ("2016年以来建成3所", {2016, 2017, 2018, 2019}),
        ("2018人代会和2016—2017年", {2016, 2017, 2018, 2019}),
        ("产量为近5年新高、五年来最高", {2019}),
        ("近2年建成3所", {2017, 2018, 2019}),
    ],
)
def test_amounts_and_records_are_no_years(passage: Passage, said: str, years: set[int]) -> None:
    document = replace(passage.document, text=said)
    assert told(replace(passage, document=document, spans=((0, len(said)),))) == years


@pytest.mark.parametrize(
    ("said", "heading", "years"),
    [
        ("2007年达到24.66万亿元，比2002年增长65.5%", "过去五年工作回顾", {2002, 2007}),
        ("城镇新增就业1000万人", "2008年主要任务", {2008}),
        ("2016年以来新增就业1000万人，2018年300万人", "主要任务", {2016, 2017, 2018, 2019}),
        ("城镇新增就业1000万人", "主要任务", set(range(1900, 2100))),
    ],
)
def test_of_no_known_year_is_told_what_is_named(
    passage: Passage, said: str, heading: str, years: set[int]
) -> None:
    assert passage.section
    document = replace(passage.document, text=said, title=None, year=None)
    section = replace(passage.section, path=(heading,))
    about = replace(passage, document=document, spans=((0, len(said)),), section=section)
    assert told(about) == years
    assert may_tell(Named.of("2007年多少", ()), about) == (2007 in years)
