"""The reports that nobody here wrote, where they are beside the project; none of them is in it.

``headings.json`` holds, for sixteen of them, where their headings stand in the text, at what level,
and whether the person who labelled them by hand was unsure.
"""

import itertools
import json
from pathlib import Path

import pytest

from index import ReportError, parse, passages, read
from index.checker import check
from index.documents import blocks
from index.library import index_text
from index.outline import outline
from index.passages import MAX_SEGMENT

SHARED = Path(__file__).parents[2] / "shared"
REPORTS = [
    file
    for folder in ("reports", "train/src")
    for file in sorted((SHARED / folder).glob("*.*"))
    if file.suffix != ".tsv"
]
CHART = "national_2021_page.html"  # a page that draws a chart; the report itself is not in it
LABELLED = json.loads(Path(__file__).with_name("headings.json").read_text("utf-8"))

pytestmark = pytest.mark.skipif(not REPORTS, reason="没有 ../shared 里的报告")


@pytest.mark.parametrize("file", [f for f in REPORTS if f.name != CHART], ids=lambda f: f.name)
def test_every_character_of_a_real_report_has_its_place(file: Path) -> None:
    document = read(file)
    found = passages(document)
    spans = sorted([s for p in found for s in p.spans] + list(document.furniture))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert check(file).unplaced <= 1
    for passage in found:
        assert passage.text == "".join(document.text[a:b] for a, b in passage.spans)
        assert all(0 < s.end - s.start <= MAX_SEGMENT for s in passage.segments)
        assert "|" in passage.text or passage.role not in ("表格", "表头")
    # The default encoder reads 512 tokens, about 700 characters.
    assert all(len(index_text(p, s)) <= 480 for p in found for s in p.segments)
    assert max(len(p.text) for p in found) < 1500  # none is a whole report on a line


def test_a_page_without_a_report_in_it_is_refused() -> None:
    with pytest.raises(ReportError, match="没有正文"):
        read(SHARED / "reports" / CHART)


def test_the_headings_are_those_that_people_labelled() -> None:
    right = wrong = missed = level_right = 0
    for name, labels in LABELLED.items():
        document = read(SHARED / "reports" / name)
        found = {part.block.start: part.section for part in outline(document) if part.section}
        starts = {b.start: found.get(b.start) for b in blocks(document)}
        headings = {s.span[0]: s for s in starts.values() if s}
        sure = {start: level for start, level, unsure in labels if not unsure}
        unsure = {start for start, _, unsure in labels if unsure}
        right += len(headings.keys() & sure.keys())
        wrong += len(headings.keys() - sure.keys() - unsure)
        missed += len(sure.keys() - headings.keys())
        level_right += sum(headings[start].level == sure[start] for start in headings.keys() & sure)
    assert right / (right + wrong) >= 0.98
    assert right / (right + missed) >= 0.98
    assert level_right / right >= 0.85


@pytest.mark.parametrize(
    ("name", "buttons"),
    [
        ("prov2026_anhui.txt", "相关报道"),
        ("prov2026_sichuan.txt", "责任编辑"),
        ("prov2026_henan.txt", "字号"),
    ],
)
def test_the_buttons_of_a_page_are_never_found(name: str, buttons: str) -> None:
    assert not any(buttons in p.text for p in passages(read(SHARED / "reports" / name)))


def test_a_report_on_one_line_has_its_paragraphs() -> None:
    found = passages(read(SHARED / "reports" / "national_2020.txt"))
    assert len(found) > 70
    assert {p.path[0][:2] for p in found if p.path} == {f"{n}、" for n in "一二三四五六七八"}


def test_the_lines_of_a_report_that_are_wrapped_are_put_together_again() -> None:
    whole = read(SHARED / "train/src/henan.txt").text
    wrapped = "\n".join(
        line[i : i + 32] for para in whole.split("\n") for line in [f"　　{para.strip()}"] for i in range(0, len(line), 32)
    )  # fmt: skip
    found = [p.text for p in passages(parse(wrapped.encode(), name="a.txt"))]
    expected = [p.text for p in passages(parse(whole.encode(), name="a.txt"))]
    assert sum(text in expected for text in found) >= 0.95 * len(expected)
