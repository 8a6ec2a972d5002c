"""Passages: the invariants, the page breaks, the segments."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index import Document, Passage, parse, passages, read
from index.errors import ReportError
from index.outline import outline
from index.passages import MAX_SEGMENT
from index.terms import is_blank
from tests.conftest import REPORT

CUT = (
    "企业投资项目备案办理时限压减为 1 个工作日；《政府核准目录》内的企业投资项目核准时限",
    "全年对市本级 128 件具体行政行为、291 件领导交办件",
    "制定防控措施，最大限度防控行政相对人违法风险",
    "选派法治观念强、法治素养好的优秀干部参与重大项目",
    "自觉把人民调解工作融入公共法律服务体系建设。",
    "反馈存在问题。二是用好督察“指挥棒”。",
    "为重大行政决策“问诊把脉”，有效防范行政风险。",
    "加强和规范事中事后监管，全面推行“双随机、一公开”监管",
    "加强法治工作队伍建设。切实提高领导干部运用法治思维",
)


def doc(text: str) -> Document:
    return parse(text.encode(), name="a.md")


def texts(text: str) -> list[str]:
    return [passage.text for passage in passages(doc(text))]


@pytest.mark.parametrize("whole", CUT)
def test_a_paragraph_cut_by_a_page_break_comes_out_whole(whole: str) -> None:
    found = [p for p in passages(read(REPORT)) if whole in p.text]
    assert [len(p.spans) for p in found] == [2]


def test_no_other_paragraph_is_joined() -> None:
    joined = [p for p in passages(read(REPORT)) if len(p.spans) > 1]
    assert len(joined) == len(CUT)


def test_the_report_has_thirty_four_passages_numbered_in_order() -> None:
    assert [p.number for p in passages(read(REPORT))] == list(range(1, 35))


LONG = "完善行政执法机制和工作规则，加强基层执法队伍和能力"


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        (LONG, "建设。", True),
        (LONG + "；", "推进改革。", True),
        (LONG + "；", "二是推进改革。", False),
        (LONG + "；", "2.推进改革。", False),
        (LONG + "。", "推进改革。", False),
        (LONG + "：", "推进改革。", False),
        (LONG + "。”", "推进改革。", False),
        (LONG + "（试行）", "推进改革。", False),
        (LONG + "（试行）", "，推进改革。", True),
        (LONG, "二、推进改革", False),
        ("单位：万元", "推进改革。", False),
        (LONG, "　　推进改革。", False),
        ("——在郑州市第十五届人民代表大会第三次会议上", "推进改革。", False),
    ],
)
def test_a_paragraph_goes_on_only_if_it_is_not_finished(
    before: str, after: str, joined: bool
) -> None:
    text = f"一、成效\n\n{before}\n\n{after}\n"
    assert (before + after in texts(text)) == joined


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("措施", "施，最大限度", "措施，最大限度"),
        ("发展", "展示成果。", "发展展示成果。"),
        ("工作队", "队伍建设。", "工作队队伍建设。"),
        ("好好学习，天", "天，向上", "好好学习，天天，向上"),
        ("计划任务二百一", "一，完成", "计划任务二百一一，完成"),
        ("共计 11", "1，其中", "共计 111，其中"),
    ],
)
def test_only_a_character_that_is_surely_repeated_is_skipped(
    before: str, after: str, whole: str
) -> None:
    found = texts(f"一、成效\n{LONG}，{before}\n{after}完。\n")
    assert any(whole in text for text in found)


def test_a_page_number_between_two_halves_is_not_quoted() -> None:
    found = texts(f"一、成效\n\n{LONG}\n\n— 3 —\n\n建设，全年共 34 件\n\n第 4 页\n\n案件。\n")
    assert found == [f"{LONG}建设，全年共 34 件案件。"]


def test_passages_of_crlf_text_read_the_same() -> None:
    text = REPORT.read_text("utf-8")
    assert texts(text.replace("\n", "\r\n")) == texts(text)


def test_items_and_sentences_and_clauses_are_segments() -> None:
    text = "一、成效\n一是加强领导。压实各级工作责任，划定任务完成时限。二是改革。\n"
    passage = passages(doc(text))[0]
    assert [(s.grain, passage.text[s.start : s.end]) for s in passage.segments] == [
        ("sentence", "一是加强领导。"),
        ("item", "一是加强领导。压实各级工作责任，划定任务完成时限。"),
        ("sentence", "压实各级工作责任，划定任务完成时限。"),
        ("item", "二是改革。"),
    ]


def test_long_sentences_have_their_clauses_as_segments() -> None:
    text = "接收行政复议申请 1060 件，受理 957 件，其中转办 331 件，全部按期办结。"
    found = passages(doc(text))[0].segments
    assert [text[s.start : s.end] for s in found if s.grain == "clause"] == [
        "接收行政复议申请 1060 件，",
        "受理 957 件，其中转办 331 件，全部按期办结。",
    ]


# Generated reports: headings, whole and cut paragraphs, marks, odd characters and line ends.
_PIECES = st.one_of(
    st.sampled_from(
        [
            "一、成效",
            "## （一）举措",
            "（一）举措。各部门落实。",
            "2020年2月20日",
            "一是",
            "；",
            "施，",
            "#",
            "# ",
        ]
    ),
    st.text("甲乙丙施，。；：“”（）1件 \u3000\u200b#𠮷😀\t", min_size=1, max_size=40),
    st.just(LONG),
)
_TEXTS = st.lists(
    st.tuples(_PIECES, st.sampled_from(["\n", "\n\n", "\r\n", "\r", "\f", "\u2028", ""])),
    max_size=14,
).map(lambda pieces: "".join(piece + end for piece, end in pieces))


def _parsed(text: str) -> tuple[Document, tuple[Passage, ...]] | None:
    try:
        document = doc(text)
    except ReportError:
        return None
    return document, passages(document)


@given(_TEXTS)
@example(REPORT.read_text("utf-8"))
def test_a_passage_is_the_characters_of_its_spans(text: str) -> None:
    document, found = _parsed(text) or (None, ())
    for passage in found:
        assert document is not None
        joined = "".join(document.text[start:end] for start, end in passage.spans)
        assert joined == passage.text
        for (_, end), (start, _) in zip(passage.spans, passage.spans[1:], strict=False):
            beside = {i for a, b in document.furniture for i in range(a, b)}
            places = [i for i in range(end, start) if i not in beside]
            gap = [c for i in places if not is_blank(c := document.text[i]) and c != "#"]
            assert gap in ([], [document.text[end - 1]])


@given(_TEXTS)
@example(REPORT.read_text("utf-8"))
def test_every_character_belongs_to_exactly_one_passage_or_heading(text: str) -> None:
    document, found = _parsed(text) or (None, ())
    if document is None:
        return
    owners = [0] * len(document.text)
    headings = [part.block for part in outline(document) if part.heading]
    skipped = set()
    for passage in found:
        for (_, end), (start, _) in zip(passage.spans, passage.spans[1:], strict=False):
            skipped.update(range(end, start))
    owned = [span for passage in found for span in passage.spans]
    owned += [span for block in headings for span in block.spans]
    for start, end in (*owned, *document.furniture):
        for place in range(start, end):
            owners[place] += 1
    for place, (char, owner) in enumerate(zip(document.text, owners, strict=True)):
        assert owner <= 1
        assert owner or is_blank(char) or char in "#|" or place in skipped


@given(_TEXTS)
@example(REPORT.read_text("utf-8"))
def test_the_sentences_and_clauses_lie_inside_and_cover_the_passage(text: str) -> None:
    _, found = _parsed(text) or (None, ())
    for passage in found:
        covered = {i for s in passage.segments for i in range(s.start, s.end)}
        assert covered == set(range(len(passage.text)))
        assert all(0 < s.end - s.start <= MAX_SEGMENT for s in passage.segments)


def test_a_paragraph_without_a_stop_is_cut_into_windows() -> None:
    passage = passages(doc("长" * 1000 + "。"))[0]
    assert max(s.end - s.start for s in passage.segments) == MAX_SEGMENT
