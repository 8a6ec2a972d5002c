"""Lines put together and taken apart, and what stands on a page beside the report."""

import pytest

from index import parse, passages
from index.blocks import lines
from index.terms import fold

LONG = "坚持把优化营商环境作为重要抓手，持续推进简政放权、放管结合、优化服务改革，取得了积极成效。"
BODY = f"一、成效\n{LONG}\n"
TITLE = "关于2020年度工作的报告\n"


def texts(text: str) -> list[str]:
    return [p.text for p in passages(parse(text.encode(), name="a.txt"))]


def beside(text: str) -> list[str]:
    document = parse(text.encode(), name="a.txt")
    return [document.text[a:b] for a, b in document.furniture]


def test_a_report_on_one_line_is_taken_apart_at_the_indents() -> None:
    line = f"{TITLE.strip()}　　一、成效　　{LONG}　　{LONG}　　二、不足　　{LONG}　　{LONG}{LONG}"
    assert texts(line) == [TITLE.strip(), LONG, LONG, LONG, LONG * 2]


def test_blanks_within_an_ordinary_line_part_nothing() -> None:
    assert len(lines("郑政文〔2020〕23号　　　　签发人：王新伟\n")) == 1


@pytest.mark.parametrize("separator", ["　　", ""])
def test_wrapped_lines_are_one_paragraph_of_their_own_characters(separator: str) -> None:
    paragraphs = [f"{separator}第{n}段。" + LONG * 3 for n in "甲乙丙丁"]
    blank = "" if separator else "\n"
    wrapped = [p[i : i + 30] for p in paragraphs for i in range(0, len(p), 30)]
    text = ""
    for part in wrapped:
        text += (blank if part[:1] == "第" else "") + part + "\n"
    assert texts(f"{TITLE}\n{text}") == [TITLE.strip(), *(p.strip() for p in paragraphs)]


def test_verses_and_lists_of_short_lines_are_not_wrapped_text() -> None:
    names = "\n".join(f"{n}、单位{n}局" for n in "一二三四五六七八九十")
    assert len(texts(f"{TITLE}{LONG}\n{names}\n")) == 12


@pytest.mark.parametrize(
    "above",
    [
        "下载\n打印\n全屏\n【字号：\n大\n中\n小\n】\n",
        "收藏 分享 【字号：大 中 小】 打印\n",
        "首页 > 政务公开 > 工作报告\n",
        "网站首页 » 信息公开 » 年报\n",
    ],
)
def test_buttons_and_trails_above_the_report_are_beside_it(above: str) -> None:
    assert texts(above + TITLE + BODY) == [TITLE.strip(), LONG]


@pytest.mark.parametrize(
    "below",
    [
        "责任编辑：\n张三\n",
        "相关链接：\n某市召开会议部署工作\n又一篇文章的题目\n",
        "分享到：\n微信\n微博\n",
        "上一篇>>\n打印本页\n关闭窗口\n",
        f"扫一扫\n打印\n{LONG}\n",
    ],
)
def test_what_a_site_puts_below_is_beside_it(below: str) -> None:
    assert texts(TITLE + BODY + below) == [TITLE.strip(), LONG]


def test_the_foot_of_a_report_stays() -> None:
    foot = "洛阳市人民政府\n2021年3月1日\n（此件公开发布）\n附件：\n1.统计表\n"
    found = texts(TITLE + BODY + foot)
    assert found[2:4] == ["洛阳市人民政府", "2021年3月1日"]
    assert beside(TITLE + BODY + foot) == []


def test_a_speaker_and_an_addressee_are_no_buttons() -> None:
    head = "政府工作报告\n国务院总理\n李 克 强\n各位代表：\n"
    assert beside(head + BODY) == []


def test_contents_are_beside_the_report_with_leaders_or_without() -> None:
    leaders = "目 录\n一、成效………… 1\n二、不足………… 2\n"
    assert beside(TITLE + leaders + BODY + f"二、不足\n{LONG}\n") == leaders.strip().split("\n")
    plain = "目录\n一、成效\n二、不足\n"
    assert beside(TITLE + plain + BODY + f"二、不足\n{LONG}\n") == plain.strip().split("\n")


def test_a_line_that_stands_on_three_pages_but_not_at_their_edge_stays() -> None:
    page = f"{LONG}\n{LONG[::-1]}\n各位代表：\n{LONG[5:]}\n{LONG[9:]}\n"
    assert beside("\f".join([page] * 4)) == []


def test_radicals_are_read_as_characters_and_quoted_as_they_stand() -> None:
    text = "关于2020年度⼯作的报告\n一、⼯作情况\n⻓期坚持⺠主。\n"
    document = parse(text.encode(), name="a.txt")
    found = passages(document)
    assert (document.title, found[1].path, found[1].text, found[1].kind) == (
        "关于2020年度工作的报告", ("一、工作情况",), "⻓期坚持⺠主。", "已完成",
    )  # fmt: skip
    assert fold(found[1].text) == "长期坚持民主。"


def test_titles_without_a_number_are_found_by_standing_alone() -> None:
    text = f"{TITLE}主要目标\n{LONG}\n重点任务\n（一）改革\n{LONG}\n加强自身建设\n{LONG}\n"
    found = [(p.text, p.path) for p in passages(parse(text.encode(), name="a.txt"))][1:]
    assert [path for _, path in found] == [
        ("主要目标",),
        ("重点任务", "（一）改革"),
        ("加强自身建设",),
    ]


@pytest.mark.parametrize(
    "line", ["795万元", "2020年1月1日", "让我们一起努力", "治理工作中的", "双向“揭榜"]
)
def test_other_short_lines_are_no_titles(line: str) -> None:
    text = f"{TITLE}一、成效\n{LONG}\n{line}\n{LONG}\n"
    assert {p.path for p in passages(parse(text.encode(), name="a.txt"))} <= {(), ("一、成效",)}


def test_what_a_review_admits_is_of_its_own_kind() -> None:
    text = f"{TITLE}一、工作回顾\n{LONG}\n同时，我们也清醒看到，发展中还存在不少困难和问题。\n"
    kinds = [p.kind for p in passages(parse(text.encode(), name="a.txt"))]
    assert kinds == ["其他", "已完成", "不足"]


# Tables

TABLE = """关于2020年度工作的报告
一、收支
单位：万元
| 收入 | | 支出 | |
| 项目 | 决算数 | 项目 | 决算数 |
|---|---|---|---|
| 拨款 | 9746.50 | 一般公共服务 | 12.10 |
| 事业收入 | | 外交 | |
"""


def test_a_row_stands_under_its_head_and_unit() -> None:
    rows = [p for p in passages(parse(TABLE.encode(), name="a.md")) if p.role == "表格"]
    assert rows[0].text.strip("| ") == "拨款 | 9746.50 | 一般公共服务 | 12.10"
    assert rows[0].header_text == (
        "单位：万元",
        "| 收入 | | 支出 | |",
        "| 项目 | 决算数 | 项目 | 决算数 |",
    )
    assert rows[0].path == ("一、收支",)
    assert [row.role for row in rows] == ["表格", "表格"]


def test_a_cell_is_indexed_with_what_it_stands_under() -> None:
    from index.library import index_text

    row = next(p for p in passages(parse(TABLE.encode(), name="a.md")) if p.role == "表格")
    (segment,) = row.segments
    assert index_text(row, segment) == "一、收支拨款收入决算数9746.50一般公共服务支出决算数12.10"


@pytest.mark.parametrize(
    "tail",
    [
        "数据如下：\n受理案件957件\n办结案件900件\n",
        "附表：\n主要指标\nGDP 5000亿元\n",
        "名词解释：\n专精特新：指专业化、精细化企业\n",
        "联系人：\n张三\n电话：0371-12345678\n",
        "投入\t5000\n产出\t7000\n",
        "让我们携手前进，共创美好明天…………\n",
        "姓名____________\n",
        "合格率 > 95%\n",
    ],
)
def test_what_only_looks_like_a_button_stays(tail: str) -> None:
    assert beside(TITLE + BODY + tail) == []


def test_figures_that_differ_from_page_to_page_are_no_running_head() -> None:
    pages = [f"全年经济平稳运行，增长{i}%。\n{LONG}\n工业增加值{i}00亿元\n" for i in range(1, 6)]
    assert beside("\f".join(pages)) == []


def test_years_at_the_edge_of_pages_are_no_page_numbers() -> None:
    pages = [f"{year}\n{LONG}\n{LONG[:20]}{year}。\n" for year in range(2019, 2025)]
    assert beside("\f".join(pages)) == []


@pytest.mark.parametrize(
    "text",
    [
        "." * 100_000 + "x",
        ". " * 50_000 + "x",
        "目录\n" + "加强各项工作\n" * 5_000,
        "一、" * 50_000,
    ],
    ids=["dots", "spaced", "contents", "numbers"],
)
@pytest.mark.timeout(20)
def test_nasty_text_is_read_in_time(text: str) -> None:
    passages(parse((TITLE + text).encode(), name="a.txt"))


def test_a_long_cell_is_indexed_whole() -> None:
    from index.library import index_text

    cell = "负责推进本区公共法律服务体系建设，" * 9
    text = f"关于职责的报告\n| 单位 | 职责 |\n|---|---|\n| 法制办 | {cell} |\n"
    row = next(p for p in passages(parse(text.encode(), name="a.md")) if p.role == "表格")
    said = "".join(index_text(row, segment) for segment in row.segments)
    assert said.count("负责推进") == 9


def test_a_table_of_any_length_and_of_words_alone_has_rows() -> None:
    tall = "关于清单的报告\n" + "| 项 | |\n" * 3000
    assert {p.role for p in passages(parse(tall.encode(), name="a.md"))} == {"标题", "表格"}
    merged = "关于清单的报告\n| 法制办 | 立法 |\n| 法制办 | 复议 |\n| 法制办 | 普法 |\n"
    assert [p.role for p in passages(parse(merged.encode(), name="a.md"))][1:] == ["表格"] * 3
