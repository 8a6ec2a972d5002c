"""Each format's reader: what text comes out, and what is refused by name."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from index import ReportError, parse, passages, read
from index.readers import read_source
from tests.samples import grid, item, numbered, printed, word

Write = Callable[..., Path]
SENTENCE = (
    "全年共办理行政复议案件一百二十八件，其中维持九十七件，撤销八件，办结率位居全省第一位次，"
)


def text_of(data: bytes, name: str) -> list[str]:
    return [line for line in read_source(data, name).text.split("\n") if line.strip()]


# Word


def test_numbers_that_word_makes_are_in_the_text() -> None:
    def build(document: object) -> None:
        numbered(
            document,
            [("chineseCounting", "%1、"), ("chineseCounting", "（%2）"), ("decimal", "%3.")],
        )
        for words, level in (
            ("成效", 0),
            ("改革", 1),
            ("放权", 2),
            ("减证", 2),
            ("监管", 1),
            ("不足", 0),
            ("人手", 1),
        ):
            item(document, words, level)

    assert text_of(word(build), "a.docx") == [
        "一、成效", "（一）改革", "1.放权", "2.减证", "（二）监管", "二、不足", "（一）人手",
    ]  # fmt: skip


def test_numbers_of_a_style_and_heading_levels_are_found() -> None:
    def build(document: object) -> None:
        numbered(document, [("chineseCountingThousand", "第%1章")])
        style = document.styles["Heading 1"].element  # type: ignore[attr-defined]
        style.get_or_add_pPr().append(
            parse_xml(f'<w:numPr {nsdecls("w")}><w:numId w:val="77"/></w:numPr>')
        )
        document.add_heading("总则", 1)  # type: ignore[attr-defined]
        document.add_paragraph("为了规范工作，制定本办法。")  # type: ignore[attr-defined]
        document.add_heading("附则", 1)  # type: ignore[attr-defined]

    assert text_of(word(build), "a.docx") == [
        "# 第一章总则",
        "为了规范工作，制定本办法。",
        "# 第二章附则",
    ]


def test_deleted_text_is_out_inserted_text_is_in_and_hidden_text_is_out() -> None:
    def build(document: object) -> None:
        paragraph = document.add_paragraph("受理")._p  # type: ignore[attr-defined]
        for tag, run in (("del", "<w:delText>1060</w:delText>"), ("ins", "<w:t>957</w:t>")):
            paragraph.append(
                parse_xml(
                    f'<w:{tag} {nsdecls("w")} w:id="1" w:author="a"><w:r>{run}</w:r></w:{tag}>'
                )
            )
        hidden = document.add_paragraph("件。").add_run("草稿")  # type: ignore[attr-defined]
        hidden.font.hidden = True

    assert text_of(word(build), "a.docx") == ["受理957", "件。"]


def test_a_word_table_is_a_line_a_row_and_merged_cells_are_told_once_a_row() -> None:
    def build(document: object) -> None:
        table = document.add_table(3, 3)  # type: ignore[attr-defined]
        for row, words in zip(table.rows, ("项目 件数 -", "规章 1 0", "- 2 5"), strict=True):
            for cell, text in zip(row.cells, words.split(), strict=True):
                cell.text = "" if text == "-" else text
        table.cell(0, 1).merge(table.cell(0, 2))
        table.cell(1, 0).merge(table.cell(2, 0))

    assert text_of(word(build), "a.docx") == [
        "| 项目 | 件数 |  |", "| 规章 | 1 | 0 |", "| 规章 | 2 | 5 |",
    ]  # fmt: skip


def test_a_table_of_one_cell_is_a_frame_around_text() -> None:
    def build(document: object) -> None:
        document.add_table(1, 1).cell(0, 0).text = "本报告由办公厅编写。"  # type: ignore[attr-defined]

    assert text_of(word(build), "a.docx") == ["本报告由办公厅编写。"]


def test_the_contents_that_word_makes_are_no_text() -> None:
    def build(document: object) -> None:
        document.element.body.insert(  # type: ignore[attr-defined]
            0,
            parse_xml(
                f"<w:sdt {nsdecls('w')}><w:sdtPr><w:docPartObj><w:docPartGallery"
                ' w:val="Table of Contents"/></w:docPartObj></w:sdtPr><w:sdtContent><w:p><w:r>'
                "<w:t>一、成效 3</w:t></w:r></w:p></w:sdtContent></w:sdt>"
            ),
        )
        document.add_paragraph("正文在此。")  # type: ignore[attr-defined]

    assert text_of(word(build), "a.docx") == ["正文在此。"]


# PDF


def test_printed_lines_are_put_together_to_paragraphs() -> None:
    page = [
        (96.0, 80.0, "一、总体情况"),
        (96.0, 100.0, SENTENCE[:34]),
        (72.0, 120.0, SENTENCE[:36]),
        (72.0, 140.0, "全部办结。"),
        (96.0, 160.0, "第二段从这里开始。"),
    ]
    assert text_of(printed([page]), "a.pdf") == [
        "　　一、总体情况",
        f"　　{SENTENCE[:34]}{SENTENCE[:36]}全部办结。",
        "　　第二段从这里开始。",
    ]


def test_a_paragraph_that_goes_on_overleaf_is_one_passage_with_its_page() -> None:
    head = [(96.0, 60.0, "关于工作的报告"), (96.0, 90.0, "一、成效")]
    pages = [
        [*head, (96.0, 120.0, SENTENCE[:34]), (290.0, 800.0, "- 1 -")],
        [
            (72.0, 80.0, "全部办结。"),
            (96.0, 100.0, "另一段，说别的事情。"),
            (290.0, 800.0, "- 2 -"),
        ],
    ]
    found = passages(parse(printed(pages), name="a.pdf"))
    assert [(p.text, p.page, len(p.spans)) for p in found] == [
        ("关于工作的报告", 1, 1),
        (f"{SENTENCE[:34]}全部办结。", 1, 2),
        ("另一段，说别的事情。", 2, 1),
    ]


def test_running_heads_and_page_numbers_are_no_passages() -> None:
    pages = [
        [
            (200.0, 40.0, "某市年度报告"),
            (96.0, 90.0, f"第{n}页的正文，各不相同。"),
            (290.0, 800.0, str(n)),
        ]
        for n in range(1, 6)
    ]
    found = passages(parse(printed(pages), name="a.pdf"))
    assert [p.text for p in found] == [f"第{n}页的正文，各不相同。" for n in range(1, 6)]


def test_a_printed_table_is_read_row_by_row_with_its_head_and_unit() -> None:
    xs, ys = (72.0, 250.0, 350.0, 450.0), (100.0, 130.0, 160.0, 190.0)
    cells = [
        (80.0 if j == 0 else xs[j] + 8, ys[i] + 20, text)
        for i, row in enumerate(
            ("项目 预算数 执行数", "行政运行 12.50 11.80", "普法宣传 3.00 2.90")
        )
        for j, text in enumerate(row.split())
    ]
    lines = [(72.0, 60.0, "一、收支情况"), (400.0, 90.0, "单位：万元"), *cells]
    found = passages(parse(printed([lines], rules=[grid(xs, ys)]), name="a.pdf"))
    rows = [(p.role, p.text, p.header_text) for p in found if p.role in ("表头", "表格")]
    head = ("单位：万元", "| 项目 | 预算数 | 执行数 |")
    assert [(role, text.strip("| "), header) for role, text, header in rows] == [
        ("表头", "项目 | 预算数 | 执行数", ()),
        ("表格", "行政运行 | 12.50 | 11.80", head),
        ("表格", "普法宣传 | 3.00 | 2.90", head),
    ]


# Web pages


def test_a_web_page_is_what_is_read_of_it() -> None:
    page = """<!DOCTYPE html><html><head><title>不要</title><style>p{}</style></head><body>
      <nav><a href="/">首页</a> <a href="/b">公开</a></nav><script>var a = "脚本";</script>
      <h1>关于工作的报告</h1><ul><li><a href="/c">相关文章一</a></li><li><a href="/d">文章二</a></li>
      <li><a href="/e">文章三</a></li></ul>
      <p>第一段，<b>办结</b>三件<br>换行。</p><p style="display:none">看不见</p>
      <div>第二段<span>接着</span>。<p>第三段。</p>尾巴。</div>
      <ol><li>甲。</li><li>乙。</li></ol>
      <table><tr><th>项目</th><th colspan="2">件数</th></tr><tr><td>规章</td><td>1</td><td>2</td></tr></table>
      </body></html>"""
    assert text_of(page.encode(), "a.html") == [
        "# 关于工作的报告", "第一段，办结三件", "换行。", "第二段接着。", "第三段。", "尾巴。", "1. 甲。",
        "2. 乙。", "| 项目 | 件数 |  |", "| 规章 | 1 | 2 |",
    ]  # fmt: skip


def test_a_page_in_gb_is_decoded_as_it_says() -> None:
    page = '<html><head><meta charset="gb2312"></head><body><p>郑州市。</p></body></html>'
    assert text_of(page.encode("gbk"), "a.htm") == ["郑州市。"]


# Refusals


def _zip(**members: bytes) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("空.docx", b"", "文件是空的"),
        ("空白.pdf", b"  \n", "文件是空的"),
        ("没字.docx", word(), "没有文字"),
        ("扫描.pdf", printed([[], []]), "没有文字层"),
        ("加密.pdf", printed([[(72.0, 72.0, "密")]], encrypted=True), "已加密"),
        ("坏.pdf", b"%PDF-1.4\nnot a pdf", "已损坏"),
        ("坏.docx", b"PK\x03\x04 not a zip", "已损坏"),
        ("截断.docx", word(lambda d: d.add_paragraph("字"))[:2000], "已损坏"),
        ("旧.docx", b"\xd0\xcf\x11\xe0" + bytes(600), "已加密，或是旧版"),
        ("其实是表.docx", _zip(xl__workbook=b"<a/>"), "不是 Word 文档"),
        ("炸弹.docx", _zip(word__document=bytes(70 * 2**20)), "解压后超过"),
        ("其实是PDF.docx", printed([[(72.0, 72.0, "字")]]), "内容却是PDF"),
        ("其实是网页.txt", b"<!DOCTYPE html><html><body>a</body></html>", "内容却是网页"),
        ("其实是文本.pdf", "正文。".encode(), "内容却是纯文本"),
        ("旧.doc", b"\xd0\xcf\x11\xe0", "请另存为 .docx"),
        ("图.png", b"\x89PNG", "不支持这种格式"),
        ("脚本.html", b"<html><body><script>x</script></body></html>", "没有正文"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_with_the_reason(
    write: Write, name: str, data: bytes, reason: str
) -> None:
    with pytest.raises(ReportError, match=f"“{name}”.*{reason}"):
        read(write(data, name))


def test_the_same_report_says_the_same_in_every_format(write: Write) -> None:
    lines = [
        "关于2020年度工作的报告",
        "一、成效",
        "全年办理案件 34 件。",
        "二、不足",
        "人手不够，进度偏慢。",
    ]
    html = "<html><body>" + "".join(f"<p>{line}</p>" for line in lines) + "</body></html>"
    files = {
        "a.txt": "\n".join(lines).encode(),
        "a.html": html.encode(),
        "a.docx": word(lambda document: [document.add_paragraph(line) for line in lines]),
        "a.pdf": printed([[(96.0, 80.0 + 20 * i, line) for i, line in enumerate(lines)]]),
    }
    found = [
        [(p.text, p.path, p.kind) for p in passages(read(write(data, name)))]
        for name, data in files.items()
    ]
    assert found[0] == [
        (lines[0], (), "其他"),
        (lines[2], ("一、成效",), "已完成"),
        (lines[4], ("二、不足",), "不足"),
    ]
    assert all(each == found[0] for each in found)


def test_a_text_box_is_read_once() -> None:
    def build(document: object) -> None:
        box = "<w:txbxContent><w:p><w:r><w:t>框里的字</w:t></w:r></w:p></w:txbxContent>"
        mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
        run = document.add_paragraph("正文。").add_run()._r  # type: ignore[attr-defined]
        run.append(
            parse_xml(
                f'<mc:AlternateContent {nsdecls("w")} xmlns:mc="{mc}"><mc:Choice Requires="wps">'
                f"{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
            )
        )
        assert run.tag == qn("w:r")

    assert text_of(word(build), "a.docx") == ["正文。", "框里的字"]


def test_a_page_within_a_form_and_headings_that_are_anchors_are_read() -> None:
    page = (
        "<html><body><form id='aspnetForm'><div><h1>关于工作的报告</h1><p><a name='_Toc1'>一、成效</a></p>"
        "<p>全年办理案件三百件。</p><p><a href='x.doc'>附件：台账</a></p></div></form></body></html>"
    )
    assert text_of(page.encode(), "a.html") == [
        "# 关于工作的报告", "一、成效", "全年办理案件三百件。", "附件：台账",
    ]  # fmt: skip


def test_a_page_that_says_gb_but_is_utf8_is_read_as_what_it_is() -> None:
    page = '<html><head><meta charset="gb2312"></head><body><p>郑州市。</p></body></html>'
    assert text_of(page.encode(), "a.html") == ["郑州市。"]


def test_preformatted_text_keeps_its_lines() -> None:
    page = "<html><body><pre>一、工作情况\n　　全年办结。\n二、问题\n</pre></body></html>"
    assert text_of(page.encode(), "a.html") == ["一、工作情况", "　　全年办结。", "二、问题"]


def test_a_table_row_in_a_content_control_is_read() -> None:
    def build(document: object) -> None:
        table = document.add_table(2, 2)  # type: ignore[attr-defined]
        for row, words in zip(table.rows, (("指标", "值"), ("产值", "5000")), strict=True):
            for cell, text in zip(row.cells, words, strict=True):
                cell.text = text
        control = parse_xml(f"<w:sdt {nsdecls('w')}><w:sdtContent/></w:sdt>")
        row = table.rows[1]._tr
        row.addprevious(control)
        control[0].append(row)

    assert text_of(word(build), "a.docx") == ["| 指标 | 值 |", "| 产值 | 5000 |"]


def test_any_damage_to_a_word_document_is_told_in_one_sentence() -> None:
    whole = word(lambda document: document.add_paragraph("全年办结案件。" * 50))
    for place in range(0, len(whole), 97):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        try:
            read_source(bytes(broken), "坏.docx")
        except ReportError as exc:
            assert "坏.docx" in str(exc)


def test_deep_and_nested_pages_end_in_time() -> None:
    nested = "<table><tr><td>" * 60 + "正文在此。" + "</td></tr></table>" * 60
    assert "正文在此。" in "".join(
        text_of(f"<html><body>{nested}</body></html>".encode(), "a.html")
    )
    wide = "<table>" + "<tr>" + "<td rowspan=100 colspan=100>字</td>" * 100 + "</tr></table>"
    read_source(f"<html><body>{wide}</body></html>".encode(), "a.html")
