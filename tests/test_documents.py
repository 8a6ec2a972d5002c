"""Reading files and finding their metadata."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from index import ReportError, parse, read
from tests.conftest import REPORT

Write = Callable[..., Path]
TEXT = "郑州市人民政府文件\n\n一、成效\n\n全年办理 93 件。𠮷😀\n"


def test_text_is_the_file_decoded_and_not_changed() -> None:
    assert read(REPORT).text == REPORT.read_bytes().decode()


def test_sha256_is_that_of_the_bytes() -> None:
    assert read(REPORT).sha256 == hashlib.sha256(REPORT.read_bytes()).hexdigest()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_encoding_gives_the_same_text(write: Write, encoding: str) -> None:
    assert read(write(TEXT.encode(encoding))).text == TEXT


def test_crlf_stays_in_the_text(write: Write) -> None:
    assert read(write("一、成效\r\n\r\n好。\r\n")).text == "一、成效\r\n\r\n好。\r\n"


def test_the_report_holds_all_its_metadata() -> None:
    found = read(REPORT)
    assert (
        found.title,
        found.issuer,
        found.doc_number,
        found.signer,
        found.addressee,
        found.date,
        found.year,
        found.region,
    ) == (
        "关于郑州市2019年度法治政府建设情况的报告",
        "郑州市人民政府",
        "郑政文〔2020〕23号",
        "王新伟",
        "省人民政府",
        date(2020, 2, 20),
        2019,
        "郑州",
    )


def test_what_the_text_does_not_hold_is_none() -> None:
    found = parse("今天开会讨论了三件事，大家意见一致，会议很快结束。".encode(), name="a.txt")
    values = (found.title, found.issuer, found.doc_number, found.signer, found.addressee)
    assert (*values, found.date, found.year) == (None,) * 7


def test_another_head_is_read_by_the_same_rules() -> None:
    text = (
        "洛阳市人民政府关于二〇二一年度\n法治政府建设情况的报告\n洛政〔2022〕5 号\n"
        "市人大常委会：\n现将有关情况报告如下。\n一、成效\n全年制定规章2件。\n"
        "洛阳市人民政府\n二〇二二年三月一日\n（此件公开发布）\n"
    )
    found = parse(text.encode(), name="a.txt")
    assert (found.title, found.issuer, found.doc_number, found.addressee) == (
        "洛阳市人民政府关于二〇二一年度法治政府建设情况的报告",
        "洛阳市人民政府",
        "洛政〔2022〕5号",
        "市人大常委会",
    )
    assert (found.date, found.year) == (date(2022, 3, 1), 2021)


def test_the_number_and_the_signers_may_share_a_line() -> None:
    text = "洛政〔2021〕5号　　签发人：王新　李四\n关于工作的汇报\n一、成效\n好。\n"
    found = parse(text.encode(), name="a.txt")
    assert (found.doc_number, found.signer, found.title) == (
        "洛政〔2021〕5号",
        "王新 李四",
        "关于工作的汇报",
    )


def test_a_number_in_the_opening_is_not_that_of_the_document() -> None:
    text = "关于2020年度工作的报告\n根据《办法》（中办发〔2019〕28号），现将情况报告如下：\n一、成效\n好。\n"
    assert parse(text.encode(), name="a.txt").doc_number is None


@pytest.mark.parametrize(
    "after",
    [
        "（此件公开发布）",
        "抄送：市委办公室，市人大常委会办公室，市政协办公室，市纪委监委。\n市政府办公室2022年1月6日印发",
        "附件：1.任务清单\n任务清单\n各部门应当按照本清单的分工，认真落实各项工作任务。",
    ],
)
def test_what_follows_the_date_does_not_hide_it(after: str) -> None:
    text = f"关于工作的报告\n一、成效\n全年完成各项工作任务，成效明显。\n洛阳市人民政府\n2022年1月5日\n{after}\n"
    found = parse(text.encode(), name="a.txt")
    assert (found.date, found.issuer) == (date(2022, 1, 5), "洛阳市人民政府")


@pytest.mark.parametrize(
    ("head", "region"),
    [
        ("河南省郑州市人民政府关于工作的报告", "郑州"),
        ("广西壮族自治区人民政府关于工作的报告", "广西"),
        ("2025年广西政府工作报告", "广西"),
        ("四川省成都市锦江区人民政府关于工作的报告", "锦江"),
        ("中共河南省委河南省人民政府关于工作的报告", "河南"),
        ("恩施土家族苗族自治州人民政府关于工作的报告", "恩施"),
        ("西双版纳傣族自治州人民政府关于工作的报告", "西双版纳"),
        ("省人民政府关于工作的报告", None),
        ("2021年法治政府建设年度报告", None),
    ],
)
def test_the_region_is_the_last_place_named(head: str, region: str | None) -> None:
    assert parse(f"{head}\n一、成效\n好。\n".encode(), name="a.txt").region == region


def test_a_salutation_is_not_an_addressee() -> None:
    text = (
        "2025年河南省政府工作报告\n各位代表：\n现在，我代表省人民政府向大会报告工作，请予审议。\n"
    )
    found = parse(text.encode(), name="a.txt")
    assert (found.title, found.addressee, found.year) == ("2025年河南省政府工作报告", None, 2025)


@pytest.mark.parametrize(
    "title", ["关于2019年计划执行情况与2020年计划草案的报告", "关于2019—2020年度工作的报告"]
)
def test_two_years_in_the_title_are_no_report_year(title: str) -> None:
    text = f"{title}\n一、执行情况\n完成了。\n"
    assert parse(text.encode(), name="a.txt").year is None


def test_an_impossible_date_is_none() -> None:
    text = "关于工作的报告\n一、成效\n全年完成各项任务，成效明显。\n2020年2月31日\n"
    assert parse(text.encode(), name="a.txt").date is None


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", "\ufeff\u200b\n".encode()])
def test_a_file_without_text_is_refused(write: Write, data: bytes) -> None:
    with pytest.raises(ReportError, match=r"没有文字|是空的"):
        read(write(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x00\x01\x80",
        b"\x81",
        "現將有關情況報告如下".encode("big5"),
    ],
)
def test_a_file_that_is_not_text_is_refused(write: Write, data: bytes) -> None:
    with pytest.raises(ReportError, match="编码"):
        read(write(data))


def test_other_paths_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "dir.md").mkdir()
    for path in (tmp_path / "no.md", tmp_path / "dir.md", tmp_path / "a.docx", Path("a\0.md")):
        with pytest.raises(ReportError, match="不能读取"):
            read(path)
