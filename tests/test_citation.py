"""Citations leave out what the report does not state."""

import pytest

from index import parse, passages
from search.citation import cite

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
