"""What the search returns, and what it refuses."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import ReportError, passages, read
from index.documents import parse
from index.terms import folded, terms
from search import Hit, Results, search
from search.marks import _shares
from search.query import normalise, without_regions
from search.rerank import FOUND_AT
from tests.conftest import REPORT

CITATION = (
    "郑州市人民政府《关于郑州市2019年度法治政府建设情况的报告》（郑政文〔2020〕23号，2020年2月20日），"
    "一、主要举措和成效 ›（八）健全行政争议预防化解机制，第15段"
)


def first(question: str, library: Path) -> Hit:
    return search(question, library=library, top_k=1)[0]


def test_a_hit_carries_all_that_a_citation_needs(real: Path) -> None:
    hit = first("行政复议受理了多少件？", real)
    assert hit.citation == CITATION
    assert hit.section == ("一、主要举措和成效", "（八）健全行政争议预防化解机制")
    assert (hit.kind, hit.paragraph, hit.verbatim) == ("已完成", 15, False)
    assert hit.text == "".join(hit.document.text[start:end] for start, end in hit.spans)
    assert hit.document.text == REPORT.read_text("utf-8")


def test_the_first_mark_is_the_sentence_that_answers(real: Path) -> None:
    hit = first("行政复议受理了多少件？", real)
    marked = [hit.text[start:end] for start, end in hit.marks]
    assert marked[0].endswith(
        "市本级共计接收行政复议申请 1060 件，受理 957 件，受理的案件中转办 331 件。"
    )
    assert marked[1] in marked[0]
    assert hit.marks[0][0] <= hit.marks[1][0] <= hit.marks[1][1] <= hit.marks[0][1]


MADE = "甲市工作报告\n一、举措\n主要做法：一是加强领导，落实各项工作责任，开展检查。二是补齐短板；三是受理 12，644 件。\n"


def test_a_segment_has_the_terms_that_its_own_text_has() -> None:
    cut = [*passages(read(REPORT)), *passages(parse(MADE.encode(), name="a.md"))]
    for passage in filter(lambda passage: passage.segments, cut):
        own = [set(terms(passage.text[s.start : s.end])) for s in passage.segments]
        weights = dict.fromkeys(sorted(set(terms(passage.text))), 1.0)
        spans = [(s.start, s.end) for s in passage.segments]
        shares = _shares(folded(passage.text, spans), weights)
        expected = [len(own[i] & weights.keys()) / len(weights) for i in range(len(own))]
        assert shares == pytest.approx(expected, abs=1.5 / len(weights))  # a number cut by a comma


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("谁签发的", "签发人：王新伟"),
        ("落款是哪天", "2020年2月20日"),
        ("报给谁", "省人民政府："),
        ("发文字号是什么", "郑政文〔2020〕23号"),
        ("哪位领导签的字", "签发人：王新伟"),
        ("发给哪个机关的", "省人民政府："),
        ("这份报告的标题", "关于郑州市 2019 年度法治政府建设情况的报告"),
    ],
)
def test_the_fields_of_head_and_foot_are_found(real: Path, question: str, text: str) -> None:
    assert first(question, real).text == text


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("行政複議受理了多少件", "行政复议受理了多少件"),
        ("考核了七十七個單位", "考核了77个单位"),
        ("“最多跑１次”占比", "“最多跑一次”占比"),
    ],
)
def test_another_form_of_a_question_finds_the_same_passage(
    real: Path, question: str, other: str
) -> None:
    assert first(question, real).paragraph == first(other, real).paragraph


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("“最多跑一次”事项占比多少", "51.33%"),
        ("全市主动公开了多少条政府信息", "30 万余条"),
        ("审批事项办理时限压缩到几个工作日？", "6 个工作日以内"),
        ("行政复议受理了多少件？", "957 件"),  # not 1060, which were received
        ("谁签发的", "王新伟"),
        ("发文字号是什么", "郑政文〔2020〕23号"),
    ],
)
def test_the_answer_is_in_the_words_of_the_report(real: Path, question: str, text: str) -> None:
    results = search(question, library=real)
    answer = results.answer
    assert answer and answer.text == text
    assert answer.text == answer.hit.text[answer.start : answer.end]
    assert answer.hit == results[0]
    assert 0 <= answer.confidence == results.confidence <= 1
    assert (answer.start, answer.end) in answer.hit.marks


def test_what_the_report_does_not_tell_has_no_answer(real: Path) -> None:
    for question in ("行政复议案件平均审理了多少天", "2018年行政复议受理了多少件"):
        results = search(question, library=real)
        assert (results.found, results.answer, len(results)) == (False, None, 5)
        assert results.confidence is not None and results.confidence < FOUND_AT


def test_without_a_reader_there_is_no_answer_and_the_rest_stays(library: Path) -> None:
    results = search("行政复议受理了多少件？", library=library)
    assert (results.answer, results.confidence, results.found, len(results)) == (
        None,
        None,
        True,
        5,
    )


def test_a_plan_is_not_a_result(real: Path) -> None:
    assert first("2020年打算怎样加强事中事后监管", real).kind == "计划"


@pytest.mark.parametrize(
    "question",
    ["红烧肉怎么做才不腻", "郑州明天会下雨吗", "python怎么把列表倒序", "写一首关于春天的七言绝句"],
)
def test_what_no_report_answers_is_not_found(real: Path, question: str) -> None:
    results = search(question, library=real)
    assert (results.found, len(results)) == (False, 5)


def test_what_the_report_answers_is_found(real: Path) -> None:
    assert search("全市主动公开的政府信息有多少", library=real).found


@pytest.mark.parametrize("question", ["1060", "1211", "数据孤岛"])
def test_words_that_stand_in_a_passage_are_found(real: Path, question: str) -> None:
    assert search(question, library=real).found


def test_results_are_a_sequence_best_first(real: Path) -> None:
    results = search("行政复议", library=real, top_k=4)
    assert isinstance(results, Results)
    assert [hit.score for hit in results] == sorted((h.score for h in results), reverse=True)
    assert (results[0], results[:2], len(results)) == (results.hits[0], results.hits[:2], 4)
    assert all(0 <= hit.score <= 1 for hit in results)


@pytest.mark.parametrize("top_k", [1, 5, 44, 1000])
def test_no_passage_comes_twice_however_many_are_asked_for(library: Path, top_k: int) -> None:
    found = [hit.paragraph for hit in search("行政复议", library=library, top_k=top_k)]
    assert len(found) == len(set(found)) <= min(top_k, 34)


def test_a_new_process_finds_the_same(real: Path) -> None:
    code = (
        "import sys; from search import search\n"
        "for hit in search('行政复议', library=sys.argv[1]): print(hit.paragraph, hit.score)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(real)], capture_output=True, text=True, check=True
    )
    here = [f"{hit.paragraph} {hit.score}" for hit in search("行政复议", library=real)]
    assert run.stdout.splitlines() == here


def test_eight_threads_find_what_one_finds(real: Path) -> None:
    questions = [f"行政复议受理了{n}件" for n in range(40)]
    serial = [search(question, library=real) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda question: search(question, library=real), questions)) == serial


@pytest.mark.parametrize(
    "question", ["", " \n\t", "\0", "\u200b\u200d", "？！。", "😀", None, 5, [], b"\xe9", "\ud800"]
)
def test_what_is_no_question_is_refused(library: Path, question: object) -> None:
    with pytest.raises(ReportError, match="问题"):
        search(question, library=library)  # type: ignore[arg-type]


def test_a_library_that_is_no_path_is_refused(tmp_path: Path) -> None:
    for library in (5, ["a"], tmp_path / ("长" * 300), "a\0b"):
        with pytest.raises(ReportError, match="资料库"):
            search("行政复议", library=library)  # type: ignore[arg-type]


@pytest.mark.parametrize("top_k", [0, -1, 10**9, 1.5, "5", None, True, float("nan")])
def test_an_impossible_number_of_hits_is_refused(library: Path, top_k: object) -> None:
    with pytest.raises(ReportError, match="1 到 1000"):
        search("行政复议", top_k=top_k, library=library)  # type: ignore[arg-type]


def test_a_question_of_512_characters_is_answered_and_of_513_refused(library: Path) -> None:
    assert len(search("问" * 512, library=library)) == 5
    for length in (513, 5_000_000):
        with pytest.raises(ReportError, match="512"):
            search("问" * length, library=library)


@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.text(st.characters(codec=None), max_size=40)
    | st.text("\"'*^(){}:-ANDORNOT行1零四百十\0", max_size=30)
)
def test_any_string_gets_results_or_one_sentence(library: Path, question: str) -> None:
    try:
        assert len(search(question, library=library)) == 5
    except ReportError as exc:
        assert str(exc).startswith("问题")


def test_names_of_places_are_left_out_of_what_is_embedded() -> None:
    cut = [without_regions(q, ("郑州", "洛阳")) for q in ("郑州市的法规几件", "洛阳和郑州", "郑州")]
    assert cut == ["法规几件", "和", "郑州"]


def test_a_query_names_each_term_once() -> None:
    assert normalise("复议复议").terms == ("复议", "议复")
