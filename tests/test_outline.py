"""Sections by their numbering, and what kind they are."""

import re

import pytest

from index import Passage, parse, passages, read
from index.outline import outline
from index.types import Document
from tests.conftest import REPORT


def doc(text: str) -> Document:
    return parse(text.encode(), name="a.md")


def sections(document: Document) -> list[tuple[int, str, str]]:
    found = dict.fromkeys(part.section for part in outline(document) if part.section)
    return [(s.level, s.path[-1], s.kind) for s in found]


def test_the_report_has_its_four_chapters_each_of_its_kind() -> None:
    chapters = [(title, kind) for level, title, kind in sections(read(REPORT)) if level == 1]
    assert chapters == [
        ("一、主要举措和成效", "已完成"),
        ("二、存在不足和原因", "不足"),
        ("三、政府主要负责人履行推进法治建设第一责任人职责情况", "履职"),
        ("四、2020年的主要安排", "计划"),
    ]


def test_the_report_has_its_twenty_five_subsections_below_them() -> None:
    below = [title[:3] for level, title, _ in sections(read(REPORT)) if level == 2]
    count = "一二三四五六七八九十"
    assert below == [f"（{n}）" for n in count + count[:4] + count[:3] + count[:8]]


@pytest.mark.parametrize("mark", ["", "# ", "###### "])
def test_the_depth_of_the_hashes_does_not_matter(mark: str) -> None:
    text = re.sub(r"(?m)^#+ *", mark, REPORT.read_text("utf-8"))
    assert sections(doc(text)) == sections(read(REPORT))


def test_levels_nest_by_numbering() -> None:
    text = "一、甲\n（一）乙\n1.丙\n（1）丁\n好。\n2.戊\n好。\n二、己\n好。\n"
    assert [(level, title) for level, title, _ in sections(doc(text))] == [
        (1, "一、甲"),
        (2, "（一）乙"),
        (3, "1.丙"),
        (4, "（1）丁"),
        (3, "2.戊"),
        (1, "二、己"),
    ]


def test_a_run_in_heading_heads_its_own_paragraph() -> None:
    passage = passages(doc("一、成效\n（一）加强领导。各部门压实责任。\n"))[-1]
    assert (passage.path, passage.text) == (
        ("一、成效", "（一）加强领导"),
        "（一）加强领导。各部门压实责任。",
    )


def test_a_decimal_number_is_not_a_heading() -> None:
    assert sections(doc("一、成效\n3.5万亿元\n全年增长。\n")) == [(1, "一、成效", "已完成")]


def test_a_sentence_with_a_number_in_front_is_not_a_heading() -> None:
    assert sections(doc("一、成效\n1.完成投资三千万元；\n2.完成验收。\n")) == [
        (1, "一、成效", "已完成")
    ]


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("一、2024年工作回顾", "已完成"),
        ("一、存在的主要问题", "不足"),
        ("一、下一步工作打算", "计划"),
        ("一、2026年重点工作安排", "计划"),
        ("一、党政主要负责人履行法治建设职责情况", "履职"),
        ("一、附则", "其他"),
        ("一、年度计划完成情况", "已完成"),
        ("一、目标任务落实情况", "已完成"),
        ("一、2025年主要工作", "已完成"),
        ("一、薄弱环节", "不足"),
        ("一、努力方向", "计划"),
    ],
)
def test_the_kind_follows_from_the_heading(title: str, kind: str) -> None:
    assert sections(doc(f"2025年度工作报告\n{title}\n好。\n")) == [(1, title, kind)]


def test_a_subsection_may_be_of_another_kind_than_its_parent() -> None:
    text = "一、工作情况\n（一）成绩\n好。\n（二）存在的问题\n差。\n（三）解决问题\n好。\n"
    assert [kind for _, _, kind in sections(doc(text))] == ["已完成", "已完成", "不足", "已完成"]


@pytest.mark.parametrize(
    "title",
    ["（一）谋划未来产业", "（一）补齐短板", "（一）解决突出问题", "（一）依法履行政府职责"],
)
def test_a_word_in_a_subheading_does_not_change_its_kind(title: str) -> None:
    found = sections(doc(f"一、主要成效\n{title}\n好。\n"))
    assert found[-1] == (2, title, "已完成")


def test_numbered_lines_with_nothing_below_are_passages() -> None:
    found = passages(doc("一、成效\n1.办理案件12件，同比增长5%\n2.培训3次\n"))
    assert [(p.path, p.text) for p in found] == [
        (("一、成效",), "1.办理案件12件，同比增长5%"),
        (("一、成效",), "2.培训3次"),
    ]


def test_a_numbered_sentence_ends_the_section_before_it() -> None:
    text = "一、成效\n（一）加强立法。制定规章3件。\n（二）开展普法宣传活动25场。\n"
    assert passages(doc(text))[-1].path == ("一、成效",)


def test_what_follows_the_date_does_not_hide_the_closing() -> None:
    text = REPORT.read_text("utf-8") + "\n（此件公开发布）\n"
    assert [p.text[:4] for p in passages(doc(text)) if p.role == "结语"] == ["一年来，"]


def test_a_list_in_the_last_section_is_not_closing() -> None:
    body = "".join(f"（{n}）措施{n}\n第{n}项已完成。\n" for n in "一二三四")
    text = f"一、成效\n{body}二、打算\n一是加强领导。\n二是抓好落实。\n"
    assert [p.path for p in passages(doc(text))][-1] == ("二、打算",)


def outside(document: Document) -> list[Passage]:
    return [passage for passage in passages(document) if not passage.section]


def test_head_closing_and_date_stand_outside_the_sections() -> None:
    assert [(p.role, p.text[:8], p.kind) for p in outside(read(REPORT))] == [
        ("发文机关", "郑州市人民政府文", "其他"),
        ("发文字号", "郑政文〔2020", "其他"),
        ("签发人", "签发人：王新伟", "其他"),
        ("发文机关", "郑州市人民政府", "其他"),
        ("标题", "关于郑州市 20", "其他"),
        ("主送机关", "省人民政府：", "其他"),
        ("正文", "2019 年，郑", "其他"),
        ("结语", "一年来，郑州市在", "其他"),
        ("成文日期", "2020年2月2", "其他"),
    ]


def test_a_closing_paragraph_is_known_by_the_form_of_the_document() -> None:
    body = "".join(f"（{n}）措施{n}\n第{n}项工作已经完成。\n" for n in "一二三四")
    found = outside(doc(f"一、成效\n{body}新的一年里，我们将再接再厉。\n"))
    assert [(p.role, p.text) for p in found] == [("结语", "新的一年里，我们将再接再厉。")]


def test_a_second_paragraph_in_a_document_of_many_is_not_closing() -> None:
    body = "".join(f"（{n}）措施{n}\n第{n}项已完成。\n又有进展。\n" for n in "一二三四")
    assert outside(doc(f"一、成效\n{body}")) == []


def test_an_attachment_after_the_date_begins_outside_the_sections() -> None:
    text = "一、成效\n全年完成各项工作任务，成效明显。\n2020年2月20日\n附件说明文字。\n"
    assert passages(doc(text))[-1].path == ()


def test_a_sentence_that_titles_paragraphs_is_found_itself() -> None:
    text = "关于工作的报告\n一、大力发展农业生产。\n粮食连年增产，仓廪充实。\n二、办好教育。\n学校多了，老师也多了。\n"
    found = [(p.text, p.path) for p in passages(doc(text))][1:]
    assert found == [
        ("一、大力发展农业生产。", ("一、大力发展农业生产",)),
        ("粮食连年增产，仓廪充实。", ("一、大力发展农业生产",)),
        ("二、办好教育。", ("二、办好教育",)),
        ("学校多了，老师也多了。", ("二、办好教育",)),
    ]
