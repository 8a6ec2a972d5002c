"""Citations leave out what the report does not state."""

import json

import pytest

from index import parse, passages
from index.errors import ReportError
from search.citation import STYLES, cite, reference
from tests.conftest import REPORT

HEAD = "洛阳市人民政府关于2021年度工作的报告\n"


@pytest.mark.parametrize(
    ("text", "citation"),
    [
        ("今天开会讨论了三件事，大家意见一致。\n", "《a.txt》，第1段"),
        (
            HEAD + "一、成效\n1.法规\n好。\n",
            "《洛阳市人民政府关于2021年度工作的报告》，一、成效 › 1.法规，第2段",
        ),
        (
            HEAD + "洛政〔2022〕5 号\n一、成效\n（一）法规\n好。\n",
            "《洛阳市人民政府关于2021年度工作的报告》（洛政〔2022〕5号），一、成效 ›（一）法规，第3段",
        ),
    ],
)
def test_the_last_passage_is_cited(text: str, citation: str) -> None:
    assert cite(passages(parse(text.encode(), name="a.txt"))[-1]) == citation


def test_a_field_is_cited_by_its_name() -> None:
    document = parse((HEAD + "签发人：李某\n一、成效\n好。\n").encode(), name="a.txt")
    assert cite(passages(document)[1]) == "《洛阳市人民政府关于2021年度工作的报告》，签发人，第2段"


def test_a_report_is_cited_in_the_forms_of_the_trade() -> None:
    passage = passages(parse(REPORT.read_bytes(), name=REPORT.name))[8]
    place = "一、主要举措和成效 ›（二）优化法治化营商环境"
    assert reference(passage, "文中注") == cite(passage)
    assert reference(passage, "GB/T 7714") == (
        "郑州市人民政府. 关于郑州市2019年度法治政府建设情况的报告: 郑政文〔2020〕23号[R]. "
        f"2020-02-20: {place}, 第9段."
    )
    quoted = reference(passage, "Markdown")
    assert quoted == f"> {passage.text}\n>\n> —— {cite(passage)}"
    bibtex = reference(passage, "BibTeX").splitlines()
    assert bibtex[0].startswith("@techreport{yiju-") and bibtex[-1] == "}"
    assert "  author = {{郑州市人民政府}}," in bibtex and "  year = {2020}," in bibtex
    item = json.loads(reference(passage, "CSL-JSON"))[0]
    assert item["type"] == "report" and item["issued"] == {"date-parts": [[2020, 2, 20]]}
    assert item["author"] == [{"literal": "郑州市人民政府"}] and item["note"].endswith("第9段")


def test_there_are_no_other_forms() -> None:
    passage = passages(parse("好。\n".encode(), name="a.txt"))[0]
    with pytest.raises(ReportError, match="没有引用格式“APA”"):
        reference(passage, "APA")  # type: ignore[arg-type]


@pytest.mark.parametrize("style", STYLES)
def test_a_report_that_states_nothing_is_cited_by_its_file(style: str) -> None:
    passage = passages(parse("好。\n".encode(), name="50%_{a}.txt"))[-1]
    text = reference(passage, style)  # type: ignore[arg-type]
    assert "None" not in text
    if style == "BibTeX":
        assert "50\\%\\_a.txt" in text
