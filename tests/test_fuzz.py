"""Whatever comes in, there is a result or one sentence: files, texts, questions, drafts.

``YIJU_FUZZ=20000 pytest --timeout 0 tests/test_fuzz.py`` runs as many examples of each; without it a hundred.
"""

import itertools
import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from index import Document, Passage, ReportError, passages
from index.documents import parse
from index.outline import outline
from index.readers import read_source
from search import check, search
from tests.conftest import REPORT
from tests.samples import printed, with_body, word

LONG_RUN = int(os.environ.get("YIJU_FUZZ", "100"))
fuzz = settings(
    max_examples=LONG_RUN,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LINES = tuple(line for line in REPORT.read_text("utf-8").splitlines() if line.strip())
WHOLE = "\n".join(LINES)


def _document() -> bytes:
    def build(document: object) -> None:
        for line in LINES[:12]:
            document.add_paragraph(line)  # type: ignore[attr-defined]
        table = document.add_table(2, 3)  # type: ignore[attr-defined]
        for number, cell in enumerate(c for row in table.rows for c in row.cells):
            cell.text = f"格{number}"

    return word(build)


PAGE = (
    "<!DOCTYPE html><html><head><meta charset=utf-8><title>报告</title></head><body><h1>报告</h1>"
    "<ol start=3><li>甲</li></ol><table><tr><th rowspan=2>项</th><td colspan=3>一</td></tr>"
    f"<tr><td>二</td></tr></table><p>{LINES[9]}</p><pre>一、\n二、</pre></body></html>"
).encode()
FILES = {
    "a.docx": _document(),
    "a.pdf": printed([[(96.0, 80.0 + 20 * i, line[:30]) for i, line in enumerate(LINES[:20])]] * 2),
    "a.html": PAGE,
    "a.txt": WHOLE.encode()[:3000],
}
BITS = (b"\x00", b"\xff\xfe", b"<", b">", b"/", b"%", b"PK\x03\x04", b"<table>", b"</td>", b"<![CDATA[", b"&#0;",
        b"&#x110000;", b"999999999", b"-1", b"obj", b"stream", b"\xe4\xb8", b"colspan=1e9", b"]]>", b"\x1b")  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with a few stretches cut out, said twice, turned or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        to = min(len(data), at + draw(st.integers(0, 200)))
        match draw(st.sampled_from(["cut", "twice", "flip", "put", "move"])):
            case "cut":
                del data[at:to]
            case "twice":
                data[to:to] = data[at:to] * draw(st.integers(1, 4))
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "put":
                data[at:at] = draw(st.sampled_from(BITS))
            case "move":
                there = draw(st.integers(0, len(data)))
                data[there:there] = data[at:to]
    return bytes(data)


def _part() -> bytes:
    with zipfile.ZipFile(BytesIO(FILES["a.docx"])) as whole:
        return whole.read("word/document.xml")


STRATEGIES = {name: damaged(data) for name, data in FILES.items()}
STRATEGIES["part.docx"] = damaged(_part()).map(with_body)  # behind the checksum of the archive


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(name: str) -> None:
    @fuzz
    @given(STRATEGIES[name])
    def run(data: bytes) -> None:
        try:
            read_source(data, name)
        except ReportError as exc:
            assert name in str(exc) and "\n" not in str(exc)

    run()


SHAPES = ("一、", "（一）", "1.", "（1）", "一是", "第一章", "# ", "#### ", "| ", " | ", "|---|", "——", "附件：", "：",
          "；", "。", "“", "”", "《", "》", "　　", "单位：万元", "第3页", "- 3 -", "2020年2月20日", "二〇二〇年", "签发人：",
          "郑政文〔2020〕23号", "市人民政府：", "关于", "情况的报告", "目录", "\t", "\u200b", "𠮷", "⼯", "\ufeff", "１２",
          "返回顶部", "下一步", "存在的问题", "打印", "www.gov.cn", "现将情况报告如下", "抄送：", "…………3")  # fmt: skip
ENDS = ("\n", "\n\n", "\r\n", "\r", "\f", "\u2028", "\v", "\x85", "", " ")
TEXTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(SHAPES) | st.sampled_from(LINES) | st.text(max_size=8), max_size=4),
        st.sampled_from(ENDS),
    ),
    max_size=24,
).map(lambda lines: "".join("".join(pieces) + end for pieces, end in lines))  # fmt: skip


def _checked(text: str, then: Callable[[Document, tuple[Passage, ...]], None]) -> None:
    try:
        document = parse(text.encode("utf-8", "ignore"), name="a.md")
    except ReportError as exc:
        assert "\n" not in str(exc)
        return
    then(document, passages(document))


@fuzz
@given(TEXTS)
@example(WHOLE)
@example(
    "# 郑州市人民政府文件\n# 郑州市人民政府文件\n"
)  # found by a long run: a line of two fields
def test_whatever_the_shape_of_a_text_its_passages_are_its_own_characters(text: str) -> None:
    def holds(document: Document, found: tuple[Passage, ...]) -> None:
        taken = sorted(document.furniture)
        for passage in found:
            assert passage.text == "".join(document.text[a:b] for a, b in passage.spans)
            assert all(0 <= s.start < s.end <= len(passage.text) for s in passage.segments)
            assert all(a < b for a, b in passage.spans)
            taken += passage.spans
        taken += [span for part in outline(document) if part.heading for span in part.block.spans]
        taken.sort()
        assert all(b <= c for (_, b), (c, _) in itertools.pairwise(taken))

    _checked(text, holds)


ASKED = st.lists(
    st.sampled_from(
        ("行政复议", "多少件", "去年", "2019年", "二〇一九", "郑州", "河南省", "谁", "？", "百分之", "一百零", "0.", "NEAR(",
         '"', "*", "OR", "\0", "\ud800", "\u202e", "😀", "é", "½", "㎡", "⑩", "１２", "萬", "零", "点", "　", "-", ":")
    )
    | st.text(st.characters(codec=None), max_size=6),
    max_size=12,
).map("".join)  # fmt: skip


@fuzz
@given(ASKED)
def test_whatever_is_asked_there_are_hits_or_one_sentence(library: Path, question: str) -> None:
    try:
        results = search(question, library=library)
    except ReportError as exc:
        assert str(exc).startswith("问题")
        return
    assert [h.score for h in results] == sorted((h.score for h in results), reverse=True)
    for hit in results:
        assert hit.text == "".join(hit.document.text[a:b] for a, b in hit.spans)
        assert all(0 <= a < b <= len(hit.text) for a, b in hit.marks)


DRAFTS = st.lists(
    st.sampled_from(
        ("“", "”", "「", "」", '"', "……", "...", "。", "；", "\n", "957件", "975 件", "21.84亿余条", "九百", "1,2,3", "%",
         "2019年", "超过", "以内", "\0", "\u200b", "𠮷", "①")
    )
    | st.sampled_from(LINES).flatmap(
        lambda line: st.tuples(st.integers(0, len(line)), st.integers(0, 40)).map(
            lambda cut: line[cut[0] : cut[0] + cut[1]]
        )
    )
    | st.text(max_size=6),
    max_size=16,
).map("".join)  # fmt: skip


@fuzz
@given(DRAFTS)
def test_whatever_the_draft_what_is_said_of_it_is_so(library: Path, text: str) -> None:
    try:
        found = check(text, library=library)
    except ReportError as exc:
        assert "核对" in str(exc)
        return
    for each in (*found.quotations, *found.numbers):
        assert text[each.start : each.end] == each.text
    for quotation in found.quotations:
        if quotation.verdict == "逐字一致":
            assert quotation.place
            assert "".join(quotation.text.split()) in "".join(quotation.place.source.split())
