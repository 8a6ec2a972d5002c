"""Quotations and numbers of a draft beside the reports."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import Encoder, ReportError, add
from search import check
from search.check import pieces
from search.locate import nearest, skeleton, stream
from search.pipeline import open_once
from tests.conftest import FakeEncoder

SENTENCE = "推动政务服务事项“减时间、减材料、减环节、减跑动”，审批事项办理时限压缩至 6 个工作日以内"


@pytest.mark.parametrize(
    ("draft", "verdict"),
    [
        (f"他写道：「{SENTENCE}」。", "逐字一致"),
        (SENTENCE, "逐字一致"),
        ("“审批事项办理时限压缩至6个工作日以内”", "仅空格标点或跨页差异"),
        ("“推动政务服务事项减时间，减材料；减环节。减跑动”", "仅空格标点或跨页差异"),
        ("“审批事项办理时限压缩至５个工作日以内”", "文字有出入"),
        ("“审批事项的办理时限压缩至 6 个工作日”", "文字有出入"),
        ("“红烧肉要用小火炖上整整两个小时”", "未找到"),
        ("“优化法治化营商环境”", "逐字一致"),  # a heading
        ("“法制郑州”", "未找到"),  # too short to be nearly anything
    ],
)
def test_a_quotation_gets_its_verdict(real: Path, draft: str, verdict: str) -> None:
    assert [q.verdict for q in check(draft, library=real).quotations] == [verdict]


def test_a_paragraph_joined_over_lines_differs_only_in_them(real: Path) -> None:
    joined = next(
        passage
        for passage in open_once(real)
        .library.passages(document=open_once(real).reports[0].document.sha256)
        .values()
        if len(passage.spans) > 1
    )
    found = check(f"「{joined.text}」", library=real).quotations
    assert {q.verdict for q in found} <= {"逐字一致", "仅空格标点或跨页差异"}
    assert all(q.place and q.place.passages == (joined,) for q in found)


def test_differences_are_told_character_by_character(real: Path) -> None:
    draft = "“审批事项的办理时限压缩至 5 个工作日”"
    found = check(draft, library=real).quotations[0]
    assert [(p.kind, p.text) for p in found.pieces if p.kind != "同"] == [
        ("多", "的"), ("多", "5"), ("缺", "6"),
    ]  # fmt: skip
    assert found.place and found.place.passages[0].number == 9
    assert draft[found.start : found.end] == found.text


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_pieces_make_up_both_texts(one: str, other: str) -> None:
    found = pieces(one, other)
    assert "".join(p.text for p in found if p.kind != "缺") == "".join(one.split())
    assert "".join(p.text for p in found if p.kind != "多") == "".join(other.split())


def test_a_changed_word_outside_the_marks_of_a_copied_sentence_is_seen(real: Path) -> None:
    found = check(SENTENCE.replace("6", "5"), library=real).quotations
    assert [q.verdict for q in found] == ["文字有出入"]


def test_in_a_draft_only_what_is_quoted_is_a_quotation(real: Path) -> None:
    found = check("报告提出“最多跑一次”。我们认为这是对的。", library=real).quotations
    assert [(q.text, q.verdict) for q in found] == [("最多跑一次", "逐字一致")]


def test_what_an_ellipsis_parts_is_checked_part_by_part(real: Path) -> None:
    draft = "“推动政务服务事项……减少群众办事等待时间和跑动次数”"
    found = check(draft, library=real).quotations
    assert [(q.text, q.verdict) for q in found] == [
        ("推动政务服务事项", "逐字一致"), ("减少群众办事等待时间和跑动次数", "逐字一致"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("draft", "verdict", "told"),
    [
        ("全市受理行政复议957件。", "一致", "957 件"),
        ("全市受理行政复议975件。", "未找到", "957 件"),
        ("郑州审批事项的办理时限压缩至6个工作日。", "说法有出入", "6 个工作日以内"),
        ("审批事项办理时限压缩至5个工作日。", "见于别处", "6 个工作日以内"),
        ("红黑榜一年里一共发了756条信息。", "一致", "756条"),
    ],
)
def test_a_number_gets_its_verdict_and_that_of_the_report(
    real: Path, draft: str, verdict: str, told: str
) -> None:
    number = check(f"“最多跑一次”。{draft}", library=real).numbers[0]
    assert number.verdict == verdict
    assert number.told and number.told.amount.text == told
    assert number.text in draft


def test_a_number_of_nothing_in_the_report_is_not_found(real: Path) -> None:
    found = check("“最多跑一次”。放冰糖31415克。", library=real).numbers
    assert [(n.verdict, n.elsewhere) for n in found] == [("未找到", None)]


@pytest.mark.parametrize(
    ("draft", "verdict"),
    [
        ("开办一家企业，不超过3个工作日。", "一致"),
        ("开办一家企业，超过3个工作日。", "说法有出入"),
        ("开办一家企业，3个工作日。", "说法有出入"),
        ("在现场一共签约12个项目。", "一致"),
        ("在现场一共签约约12个项目。", "说法有出入"),
    ],
)
def test_a_bound_is_not_its_opposite_nor_a_signing_an_estimate(
    draft: str, verdict: str, tmp_path: Path, fake: FakeEncoder
) -> None:
    text = "一、成效\n企业开办时限不超过 3 个工作日。现场集中签约12个项目。\n"
    (tmp_path / "a.txt").write_text(text, "utf-8")
    add(tmp_path / "a.txt", tmp_path / "library", encoder=fake)
    (number,) = check(f"“企业开办时限”。{draft}", library=tmp_path / "library").numbers
    assert number.verdict == verdict


def test_numbers_inside_a_quotation_are_part_of_it(real: Path) -> None:
    assert check(f"「{SENTENCE}」", library=real).numbers == ()


def test_only_the_chosen_reports_are_looked_at(tmp_path: Path, fake: FakeEncoder) -> None:
    for name, words in (
        ("a", "全年办理案件十二件，成效明显。"),
        ("b", "全年新建学校三十所，成效明显。"),
    ):
        (tmp_path / f"{name}.txt").write_text(f"一、成效\n{words}\n", "utf-8")
        add(tmp_path / f"{name}.txt", tmp_path / "library", encoder=fake)
    library = tmp_path / "library"
    verdicts = [
        check("“全年新建学校三十所”", documents=name, library=library).quotations[0].verdict
        for name in ("a.txt", "b.txt")
    ]
    assert verdicts == ["未找到", "逐字一致"]


@pytest.mark.parametrize("draft", [None, 5, "", " \n", "？！", "字" * 20_001])
def test_what_is_no_draft_is_refused_in_a_sentence(library: Path, draft: object) -> None:
    with pytest.raises(ReportError, match="核对"):
        check(draft, library=library)  # type: ignore[arg-type]


@given(st.text(max_size=200))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_any_text_is_checked_or_refused(library: Path, text: str) -> None:
    try:
        found = check(text, library=library)
    except ReportError:
        return
    for each in (*found.quotations, *found.numbers):
        assert text[each.start : each.end] == each.text


@given(st.text(max_size=60))
def test_the_bones_of_a_text_stand_in_it_in_order(text: str) -> None:
    bones, places = skeleton(text)
    assert len(bones) == len(places)
    assert places == sorted(places)
    assert all(0 <= place < len(text) for place in places)


def test_the_point_of_a_number_and_its_sign_are_bones() -> None:
    assert skeleton("21.84 亿，12,644。２１%")[0] == "21.84亿1264421%"
    assert skeleton("增长-5.2%")[0] != skeleton("增长5.2%")[0]


def test_the_nearest_stretch_is_the_one_of_least_distance(encoder: Encoder, real: Path) -> None:
    opened = open_once(real)
    document = opened.library.document(opened.reports[0].id)
    passages = list(opened.library.passages(document=document.sha256).values())
    joined = stream(document, passages)
    passage = passages[8]
    bones, _ = skeleton(passage.text[10:60])
    place = nearest(bones[:20] + "甲乙" + bones[21:], joined, passage)
    assert place.alike == pytest.approx(1 - 2 / (len(bones) + 1))
    assert skeleton(place.source)[0] == bones
