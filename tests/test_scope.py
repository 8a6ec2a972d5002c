"""Many reports: what is left by filters, what a question prefers, what is said twice, comparing."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from index import ReportError, add
from index.columns import Scope
from index.contract import Candidates, Entry, Store
from index.documents import parse
from search import compare, search
from search.figures import best_figure, figures
from search.retrieve import Noise, Where, retrieve
from search.scope import _place, _years
from search.web.cards import cards
from tests.conftest import FakeEncoder

SAME = "各级各部门要加强组织领导，压实工作责任，确保各项任务落到实处，取得实效。"


def report(place: str, year: int, cases: int) -> str:
    return (
        f"{year}年{place}政府工作报告\n各位代表：\n一、{year - 1}年工作回顾\n"
        f"全年办理行政复议案件{cases}件，比上年增长{cases / 10}%，全部办结。\n"
        f"二、{year}年工作安排\n计划办理行政复议案件{cases + 100}件以内。\n{SAME}\n"
    )


@pytest.fixture
def many(tmp_path: Path, fake: FakeEncoder) -> Path:
    reports = {
        "henan25.txt": report("河南省", 2025, 41),
        "henan26.txt": report("河南省", 2026, 42),
        "hubei25.txt": report("湖北省", 2025, 43),
        "silent.txt": "2025年山西省政府工作报告\n一、2024年工作回顾\n粮食产量稳定，丰收在望，仓廪充实。\n",
    }
    for name, text in reports.items():
        (tmp_path / name).write_text(text, "utf-8")
        add(tmp_path / name, tmp_path / "library", encoder=fake)
    return tmp_path / "library"


@pytest.mark.parametrize(
    "name", ["凉山彝族自治州", "恩施土家族苗族自治州", "广西壮族自治区", "郑州市"]
)
def test_a_place_is_chosen_by_the_whole_name_that_its_report_has(name: str) -> None:
    text = f"{name}人民政府关于2021年度工作的报告\n一、成效\n好。\n"
    assert _place(name) == parse(text.encode(), name="a.txt").region


def test_of_a_passage_found_twice_the_cosine_of_the_part_counts() -> None:
    class Told:
        def candidates(self, *_: object, scope: Scope | None, **__: object) -> Candidates:
            ids = np.array([1, 2] if scope is None else [1])
            near = np.array([0.5, 0.4] if scope is None else [0.9], np.float32)
            return Candidates(ids, ids, ids.astype("V16"), near, np.zeros(len(ids)))

    where = Where(None, {1: 0.1}, Scope((1,)))
    vector = np.zeros(3, np.float32)
    ranked = retrieve(cast(Store, Told()), vector, {}, Noise(0.0, 1.0), where)
    assert [(found.passage_id, round(found.cosine, 3)) for found in ranked] == [(1, 0.9), (2, 0.4)]


QUESTION = "办理行政复议案件多少件"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"documents": "hubei25.txt"}, {"hubei25.txt"}),
        ({"documents": ["2026年河南省政府工作报告"]}, {"henan26.txt"}),
        ({"regions": "河南"}, {"henan25.txt", "henan26.txt"}),
        ({"regions": ["河南省", "湖北"], "years": 2025}, {"henan25.txt", "hubei25.txt"}),
        ({"years": [2026]}, {"henan26.txt"}),
    ],
)
def test_a_filter_leaves_only_its_reports(
    many: Path, filters: dict[str, object], names: set[str]
) -> None:
    results = search(QUESTION, library=many, top_k=1000, **filters)  # type: ignore[arg-type]
    assert {hit.document.name for hit in results} == names


def test_a_kind_leaves_only_its_passages_and_top_k_is_still_k(many: Path) -> None:
    results = search(QUESTION, library=many, top_k=3, kinds=["计划"])
    assert [hit.kind for hit in results] == ["计划"] * 3


def test_a_filter_acts_before_anything_is_cut_off(
    many: Path, fake: FakeEncoder, tmp_path: Path
) -> None:
    crowd = "一、成效\n" + "\n".join(f"办理行政复议案件多少件，第{n}例。" for n in range(400))
    (tmp_path / "crowd.txt").write_text(crowd, "utf-8")
    add(tmp_path / "crowd.txt", many, encoder=fake)
    hits = search(QUESTION, library=many, documents="silent.txt", top_k=5)
    assert "粮食产量稳定，丰收在望，仓廪充实。" in [hit.text for hit in hits]


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"documents": "没有.txt"}, "没有报告“没有.txt”"),
        ({"regions": "火星"}, "现有的地区：山西、河南、湖北"),
        ({"years": 1999}, "现有的年度：2025、2026"),
        ({"kinds": "吹牛"}, "性质应当是"),
        ({"years": "2025"}, "收到的是“2025”"),
        ({"regions": 5}, "收到的是“5”"),
        ({"documents": ""}, "收到的是“”"),
    ],
)
def test_a_wrong_filter_is_one_chinese_sentence(
    many: Path, filters: dict[str, object], told: str
) -> None:
    with pytest.raises(ReportError, match=told):
        search(QUESTION, library=many, **filters)  # type: ignore[arg-type]


def test_filters_that_leave_nothing_find_nothing(many: Path) -> None:
    results = search(QUESTION, library=many, documents="henan25.txt", years=2026)
    assert (len(results), results.found) == (0, False)
    assert "没有符合条件的段落" in results.notice and results.notice in cards(results)
    assert search(QUESTION, library=many, years=2026).notice == ""


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("湖北办理行政复议案件多少件", "hubei25.txt"),
        ("2025年河南办理行政复议案件多少件", "henan26.txt"),
        ("2025年河南计划办理行政复议案件多少件", "henan25.txt"),
        ("2024年河南办理行政复议案件多少件", "henan25.txt"),
        ("河南2026年办理行政复议案件多少件", "henan26.txt"),
        ("河南去年办理行政复议案件多少件", "henan26.txt"),
    ],
)
def test_a_place_or_year_in_the_question_is_preferred_and_forbids_nothing(
    many: Path, question: str, name: str
) -> None:
    results = search(question, library=many, top_k=20)
    assert results[0].document.name == name
    assert len({hit.document.name for hit in results}) > 2


@pytest.mark.parametrize(
    ("title", "expected"),
    [("2026年河南省政府工作报告", {2025, 2026}), ("河南省2026年预算报告", {2026})],
)
def test_a_report_on_work_is_of_the_year_before_too(title: str, expected: set[int]) -> None:
    known = parse(f"{title}\n一、工作回顾\n好。\n".encode(), name="a.txt")
    assert set(_years(Entry(1, known, 1, 0, (), ("一、工作回顾",)))) == expected


def test_what_several_reports_say_appears_once_with_the_other_places(many: Path) -> None:
    results = search(SAME, library=many, top_k=20)
    said = [hit for hit in results if hit.text == SAME]
    assert len(said) == 1
    places = {said[0].document.name, *(p.document.name for p in said[0].also)}
    assert places == {"henan25.txt", "henan26.txt", "hubei25.txt"}
    only = search(SAME, library=many, regions="湖北")
    assert [hit.also for hit in only if hit.text == SAME] == [()]


def test_comparing_gives_a_row_for_each_report_with_its_number(many: Path) -> None:
    rows = compare(QUESTION, library=many, kinds="已完成")
    told = {row.document.name: (row.number, row.hit and row.hit.kind) for row in rows}
    assert told["henan25.txt"] == ("41件", "已完成")
    assert told["henan26.txt"] == ("42件", "已完成")
    assert told["hubei25.txt"] == ("43件", "已完成")
    assert list(told) == ["henan25.txt", "henan26.txt", "hubei25.txt", "silent.txt"]
    assert [row.document.name for row in compare(QUESTION, library=many, years=2026)] == [
        "henan26.txt"
    ]


def test_a_report_that_does_not_say_is_blank(many: Path) -> None:
    rows = {row.document.name: row for row in compare("行政复议案件", library=many)}
    assert (rows["silent.txt"].hit, rows["silent.txt"].number) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("培训高技能人才12.5万人次以上", ["12.5万人次以上"]),
        ("汽车以旧换新超40万辆、家电超450万台", ["超40万辆", "超450万台"]),
        ("共21.84亿余条，2019年3月有 1,060 件", ["21.84亿余条", "3月", "1,060 件"]),
        ("压减到5个工作日以内，增长6.3％", ["5个工作日以内", "6.3％"]),
        ("14个部门、11个项目，历时3个月", ["14个", "11个", "3个月"]),
        ("时限不超过 3 个工作日，不足15分钟", ["不超过 3 个工作日", "不足15分钟"]),
        ("浓度不超过35微克/立方米，未达到2%", ["不超过35微克/立方米", "未达到2%"]),
        ("签约12个项目，约15个，大约16个", ["12个", "约15个", "大约16个"]),
        ("附近5家，近6家，将近7家，最近8年", ["5家", "近6家", "将近7家", "8年"]),
        ("用时4至5个工作日内，增长5.5%—6%", ["4至5个工作日内", "5.5%—6%"]),
        ("2019—2020年，分别为12，15，18处", ["12", "15", "18处"]),
        ("装机5千瓦、10兆瓦，共2,000，4，000户", ["5千瓦", "10兆瓦", "2,000", "4，000户"]),
    ],
)
def test_numbers_are_found_with_qualifier_and_unit(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in figures(text) if text[a:b] != "3"] == [
        each for each in expected if each != "3月"
    ]


@pytest.mark.parametrize(
    ("question", "number"),
    [("受理了多少件", "957 件"), ("接收申请多少件", "1060 件"), ("受理增长了多少", "6.3%")],
)
def test_the_number_asked_for_is_the_one_its_words_stand_before(question: str, number: str) -> None:
    text = "共接收申请 1060 件，受理 957 件，增长6.3%。"
    weights = {"接收": 2.0, "申请": 2.0, "受理": 3.0, "增长": 1.0}
    weights = {term: weight for term, weight in weights.items() if term in question}
    found = best_figure(question, text, [(0, len(text))], weights)
    assert found is not None
    assert text[slice(*found)] == number
