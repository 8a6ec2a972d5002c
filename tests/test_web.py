"""What is put on the page, as HTML."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from index import Document, Passage, parse, passages
from index.outline import outline
from index.types import Section
from search.check import Checked
from search.compare import Row
from search.types import Answer, Hit, Results
from search.web import SCRIPT, STYLE
from search.web.cards import cards, comparison
from search.web.drafts import draft
from search.web.markup import joined, marked
from search.web.report import report

EVIL = "<img src=x onerror=alert(1)>\"'&</mark>\u202e"


def document(text: str, name: str = "a.txt") -> Document:
    return parse(text.encode(), name=name)


def row(place: str, number: str | None, kind: str = "成效") -> Row:
    said = f"新建学校{number or '若干所'}，成效明显。"
    made = document(
        f"{place}市人民政府关于2021年度工作的报告\n一、{kind}\n{said}\n", f"{place}.txt"
    )
    passage = passages(made)[-1]
    start = passage.text.find(number) if number else -1
    figure = (start, start + len(number)) if number else None
    return Row(made, Hit(passage, 0.5, ((0, len(passage.text)),)), figure)


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether all that opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_in_a_report_becomes_markup() -> None:
    made = document(f"关于{EVIL}的报告\n一、{EVIL}\n全年办理{EVIL}案件3件。\n", f"{EVIL[:5]}.txt")
    held = passages(made)
    sections = [part.section for part in outline(made) if part.section]
    hit = Hit(held[-1], 0.5, ((0, 5), (2, 4)), also=(held[0],))
    results = Results(EVIL, (hit,), True, 0.9, Answer(EVIL, hit, 0, 3, 0.9))
    whole = [
        cards(results, several=True),
        comparison(EVIL, [Row(made, hit, (0, 2)), Row(made, None, None)]),
        report(made, [*dict.fromkeys(sections), *held]),
        draft(Checked("", (), ())),
    ]
    for text in whole:
        tags = Tags(text)
        assert tags.open == []
        assert not tags.names & {"img", "script", "a", "iframe", "svg"}
        assert not any(name.startswith("on") for name in tags.attributes)
        assert "\u202e" not in text


def test_marks_that_overlap_are_nested_right() -> None:
    assert marked("一二三四", [(0, 4), (1, 2)]) == (
        "<mark>一</mark><mark><b>二</b></mark><mark>三四</mark>"
    )


def test_a_passage_says_how_it_is_joined() -> None:
    made = document("一、成效\n开展工作，\n17\n取得成效。\n")
    whole = passages(made)[-1]
    text = made.text

    def at(*parts: str) -> Passage:
        spans = tuple((text.index(part), text.index(part) + len(part)) for part in parts)
        return replace(whole, spans=spans)

    assert joined(at("开展工作，")) == "逐字"
    assert joined(at("开展工作，", "取得成效。")) == "跨页拼接"
    lines = document("一、成效\n开展工作，\n取得成效。\n")
    apart = replace(whole, document=lines, spans=((5, 10), (11, 16)))
    assert joined(apart) == "分行拼接"
    assert joined(replace(apart, document=replace(lines, pages=(0, 11)))) == "跨页拼接"


def test_the_pages_of_a_pdf_are_told_where_they_begin() -> None:
    made = document("一、成效\n甲事办成了。\n乙事办成了。\n丙事办成了。\n")
    at = made.text.index("丙")
    paged = replace(made, pages=(0, at))
    held = [replace(passage, document=paged) for passage in passages(made)]
    text = report(paged, held)
    assert re.findall(r"第 (\d) 页", text) == ["1", "2"]
    assert text.index("第 2 页") > text.index("乙事")
    hit = Hit(held[-1], 0.5, ())
    assert "<span>第 2 页</span>" in cards(Results("问", (hit,), True))


def test_the_outline_nests_by_level_and_names_each_heading_once() -> None:
    made = document("一、甲\n（一）乙\n好。\n（二）丙\n好。\n二、丁\n好。\n")
    sections = list(dict.fromkeys(part.section for part in outline(made) if part.section))
    assert [len(s.path) for s in sections if isinstance(s, Section)] == [1, 2, 2, 1]
    text = report(made, sections)
    tree = text[text.index("<nav") : text.index("</nav>")]
    assert re.findall(r'data-heading="(\d)">([^<]+)', tree) == [
        ("0", "一、甲"), ("1", "（一）乙"), ("2", "（二）丙"), ("3", "二、丁"),
    ]  # fmt: skip
    assert tree.count("<ul>") == 2


def test_numbers_of_the_commonest_unit_are_drawn_to_scale_largest_first() -> None:
    rows = [row("洛阳", "20所"), row("开封", "1百所"), row("安阳", "3%"), row("新乡", None)]
    text = comparison("新建学校多少所", rows)
    assert re.findall(r"width:([\d.]+)%", text) == ["100.0", "20.0"]
    assert "单位：所，2 份，另有 1 份的单位不同，没有画" in text


@pytest.mark.parametrize("numbers", [(), ("20所",), ("20所", "3%"), (None, None)])
def test_what_cannot_be_compared_is_not_drawn(numbers: tuple[str | None, ...]) -> None:
    places = ("洛阳", "开封")
    rows = [row(place, number) for place, number in zip(places, numbers, strict=False)]
    assert "<figure" not in comparison("问", rows)


def test_a_plan_is_drawn_otherwise() -> None:
    rows = [row("洛阳", "20所"), row("开封", "10所", kind="下一步工作安排")]
    assert '<i class="计划"' in comparison("问", rows)


def test_the_style_and_the_script_are_part_of_the_package() -> None:
    assert STYLE.is_file() and SCRIPT.is_file()
    assert "</style" not in STYLE.read_text("utf-8")
    assert "</script" not in SCRIPT.read_text("utf-8")
    used = set(re.findall(r"yiju\.(\w+)\(", SCRIPT.read_text("utf-8")))
    made = set(re.findall(r"^  (?:async )?(\w+)(?:\(|:)", SCRIPT.read_text("utf-8"), re.M))
    assert used <= made
