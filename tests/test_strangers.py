"""Files that strangers send: each refused with its reason, within its limits (RELIABILITY 19, 20)."""

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from index import Library, ReportError, parse, verify
from index.__main__ import main
from index.library import publish
from index.readers import apart
from search import search
from search.web.shelf import shelf
from tests.conftest import ROOT, FakeEncoder
from tests.samples import printed, with_body, word

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
PARAGRAPH = "<w:p><w:r><w:t>字</w:t></w:r></w:p>"


def with_entities(declared: str, used: str) -> bytes:
    return with_body(
        f"<!DOCTYPE d [{declared}]><w:document {W}><w:body><w:p><w:r><w:t>前{used}后</w:t></w:r></w:p>"
        "</w:body></w:document>"
    )


def in_body(inner: str) -> bytes:
    return with_body(f"<w:document {W}><w:body>{inner}</w:body></w:document>")


def lying() -> bytes:
    """A Word document whose main part is longer than the archive says."""
    data = bytearray(in_body(PARAGRAPH * 1000))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    for place in range(len(data) - 4):
        if data[place : place + 4] == size.to_bytes(4, "little"):
            data[place : place + 4] = (100).to_bytes(4, "little")
    return bytes(data)


def pdf(*objects: bytes, root: int = 1) -> bytes:
    """A PDF of these objects, with its table of places."""
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1, table, len(objects) + 1, root, len(data),
    )  # fmt: skip


def inflating(megabytes: int) -> bytes:
    """A PDF whose page is a few kilobytes that inflate to so many megabytes."""
    deflate = zlib.compressobj(9)
    packed = b"".join(deflate.compress(bytes(2**20)) for _ in range(megabytes)) + deflate.flush()
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<<>>>>",
        b"<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream" % (len(packed), packed),
    )


def cyclic() -> bytes:
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1/Parent 3 0 R>>",
        b"<</Type/Pages/Kids[2 0 R]/Count 1/Parent 2 0 R>>",
    )


LAUGHS = '<!ENTITY a0 "哈哈哈哈">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
)
STRANGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "深.docx": (lambda: in_body("<w:tbl>" * 9000 + "</w:tbl>" * 9000), "已损坏|内存|中断"),
    "大节点.docx": (lambda: in_body(f"<w:p><w:r><w:t>{'a' * 150 * 2**20}</w:t></w:r></w:p>"), "解压后超过"),
    "长节点.docx": (lambda: in_body(f"<w:p><w:r><w:t>{'a' * 9 * 2**20}</w:t></w:r></w:p>"), "万字|内存"),
    "百万段.docx": (lambda: in_body(PARAGRAPH * 10**6), "万行|内存|没有读完"),
    "说谎.docx": (lying, "已损坏"),
    "膨胀.pdf": (lambda: inflating(900), "内存"),
    "绕圈.pdf": (cyclic, "已损坏|没有文字层"),
    "加密.pdf": (lambda: printed([[(72.0, 72.0, "密")]], encrypted=True), "已加密"),
    "截断.pdf": (lambda: printed([[(72.0, 72.0, "字" * 60)]] * 9)[:1500], "已损坏|没有文字层"),
    "深.html": (lambda: b"<html><body>" + b"<div>" * 10**6, "已损坏|没有正文|中断|内存"),
    "其实是表.docx": (lambda: b"PK\x03\x04" + bytes(600), "已损坏"),
    "其实是文本.pdf": (lambda: "正文。".encode(), "内容却是纯文本"),
    "空.docx": (lambda: b"", "文件是空的"),
}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    monkeypatch.setattr(apart, "MEMORY", 768 * 2**20)
    monkeypatch.setattr(apart, "SECONDS", 60)


@pytest.mark.parametrize("name", STRANGE)
def test_19_each_is_refused_with_its_reason_within_its_limits(name: str, small: None) -> None:
    make, reason = STRANGE[name]
    with pytest.raises(ReportError, match=f"“{name}”.*({reason})"):
        parse(make(), name=name)


@pytest.mark.parametrize(
    ("declared", "used"),
    [('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"), (LAUGHS, "&a11;")],
    ids=["xxe", "laughs"],
)
def test_19_what_declares_entities_is_refused(declared: str, used: str, small: None) -> None:
    with pytest.raises(ReportError, match=r"“a\.docx”.*已损坏"):
        parse(with_entities(declared, used), name="a.docx")


def test_19_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1)
    with pytest.raises(ReportError, match="1 秒还没有读完"):
        parse(in_body(PARAGRAPH * 10**6), name="慢.docx")


def test_19_one_bad_file_never_stops_the_others(
    tmp_path: Path, fake: FakeEncoder, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, library = tmp_path / "sent", tmp_path / "library"
    folder.mkdir()
    bad = ("深.docx", "说谎.docx", "绕圈.pdf", "加密.pdf", "空.docx")
    for name in bad:
        (folder / name).write_bytes(STRANGE[name][0]())
    for name in ("一.txt", "好.docx"):
        text = f"{name[0]}字报告说得明白。"
        data = word(lambda d, text=text: d.add_paragraph(text))
        (folder / name).write_bytes(text.encode() if name.endswith("txt") else data)
    assert main(["--library", str(library), "add", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == len(bad) and all(name in err for name in bad)
    assert out.count("新增：") == 2
    assert search("好字报告", library=library)[0].document.name == "好.docx"
    publish(library)
    assert verify(library) == []


def test_20_what_is_no_report_of_the_folder_is_passed_over_with_a_reason(
    tmp_path: Path, fake: FakeEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, library = tmp_path / "sent", tmp_path / "library"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("外面的秘密。", "utf-8")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "dir").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe.txt")
    with (folder / "sparse.txt").open("wb") as file:
        file.truncate(2 * 2**30)
    (folder / "两\n行<img src=x>.txt").write_text("这份报告的名字很怪。", "utf-8")
    (folder / "\x1b[31m红.pdf").write_bytes(b"x")
    assert main(["--library", str(library), "add", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 3
    assert "“" + str(folder / "pipe.txt") + "”：这不是一个文件" in err
    assert "“sparse.txt”：文件超过 64 MB" in err
    assert "\x1b" not in out + err and "out.txt" in out
    (hit,) = search("名字很怪", library=library)
    assert hit.document.name == "两\n行<img src=x>.txt"
    with Library.open(library) as opened:
        shown = shelf(opened.entries(), change=True)
    assert "&lt;img src=x&gt;" in shown and "<img" not in shown
    assert verify(library) == []


def test_the_process_that_reads_is_told_where_the_program_is(tmp_path: Path) -> None:
    file = tmp_path / "a.docx"
    file.write_bytes(word(lambda d: d.add_paragraph("在哪里都能读。")))
    (tmp_path / "index.py").write_text("raise SystemExit(9)")  # what lies there is not run
    code = f"import sys; sys.path[0] = {str(ROOT)!r}\nfrom index import read\nfrom pathlib import Path\nprint(read(Path('a.docx')).text)"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == "在哪里都能读。", run.stderr
