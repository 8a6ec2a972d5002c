"""Evidence: what is written out holds, and is checked again later."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest

from index import ReportError, add, remove
from search.evidence import FORMATS, Pack, collect, verify, write
from search.pipeline import open_once
from tests.conftest import REPORT, FakeEncoder

MADE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def pack(library: Path, *notes: str) -> Pack:
    opened = open_once(library)
    sha256 = opened.reports[0].document.sha256
    sent = [
        {"d": sha256, "p": 9 + i, "q": "问", "t": "2026-11-24T09:00:00.000Z", "note": note}
        for i, note in enumerate(notes)
    ]
    return collect(sent, opened, made=MADE)


def test_the_json_form_holds_all_that_a_check_needs(library: Path) -> None:
    made = pack(library, "甲", "乙")
    shown = json.loads(write(made, "json"))
    passage = made.items[0].passage
    first = shown["evidence"][0]
    assert first["text"] == passage.text
    assert first["document"]["sha256"] == passage.document.sha256
    assert [first["question"], first["note"], first["asked"]] == [
        "问",
        "甲",
        "2026-11-24T09:00:00+00:00",
    ]
    assert shown["model"] == open_once(library).encoder.fingerprint
    assert shown["library"] == open_once(library).library.version
    assert {"made", "program", "format"} <= set(shown)


@pytest.mark.parametrize("format", FORMATS)
def test_every_form_holds_the_words_the_citation_and_the_note(library: Path, format: str) -> None:
    made = pack(library, "要核对", "=1+1")
    data = write(made, format)  # type: ignore[arg-type]
    text = (
        "\n".join(p.text for p in docx.Document(io.BytesIO(data)).paragraphs)
        if format == "docx"
        else data.decode("utf-8-sig").replace("\\", "")
    )
    for item in made.items:
        assert item.passage.text in text or format in ("md", "json")
        assert item.passage.text[:30] in text.replace("\\", "")
        assert item.passage.document.sha256 in text
    assert "要核对" in text
    assert made.model in text or format == "csv"


def test_no_cell_of_the_table_is_a_formula(library: Path) -> None:
    rows = list(
        csv.reader(io.StringIO(write(pack(library, "=1+1", "@x"), "csv").decode("utf-8-sig")))
    )
    assert len(rows) == 3
    assert [row[4] for row in rows[1:]] == ["'=1+1", "'@x"]


def test_markup_in_a_note_stays_text(library: Path) -> None:
    text = write(pack(library, "<script>*a*"), "md").decode()
    assert "<script>" not in text
    assert "\\<script\\>\\*a\\*" in text


def test_controls_in_a_note_do_not_break_word(library: Path) -> None:
    data = write(pack(library, "a\x00\x08\ud800b"), "docx")
    assert "批注：ab" in [p.text for p in docx.Document(io.BytesIO(data)).paragraphs]
    for format in ("md", "csv", "json"):
        assert write(pack(library, "a\ud800b"), format)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sent",
    [
        None,
        {},
        [],
        ["x"],
        [{}],
        [{"d": "no", "p": 1}],
        [{"d": 5, "p": 1}],
        [{}] * 501,
        [{"d": "\ud800", "p": 1}],
    ],
)
def test_what_is_no_list_of_passages_is_refused(library: Path, sent: object) -> None:
    with pytest.raises(ReportError):
        collect(sent, open_once(library), made=MADE)


def test_a_quote_is_identical_moved_or_gone(
    library: Path, tmp_path: Path, fake: FakeEncoder
) -> None:
    data = write(pack(library, "", ""), "json")
    assert [each.verdict for each in verify(data, open_once(library))] == ["一致", "一致"]
    kept = open_once(library).reports[0].document
    text = pack(library, "").items[0].passage.text
    changed = tmp_path / "other.md"
    changed.write_text(f"一、成效\n先说一句。\n{text}\n", "utf-8")
    add(changed, library, encoder=fake)
    remove(library, open_once(library).reports[0].id)
    assert kept.sha256 not in {r.document.sha256 for r in open_once(library).reports}
    found = verify(data, open_once(library))
    assert [each.verdict for each in found] == ["移动", "消失"]
    assert found[0].now and "other.md" in found[0].now


def test_a_quote_that_was_changed_in_the_pack_is_gone(library: Path) -> None:
    shown = json.loads(write(pack(library, ""), "json"))
    shown["evidence"][0]["text"] = shown["evidence"][0]["text"].replace("6", "5")
    found = verify(json.dumps(shown).encode(), open_once(library))
    assert [each.verdict for each in found] == ["消失"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"format": "yiju-evidence/1", "evidence": [{}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_pack_is_refused(library: Path, data: bytes) -> None:
    with pytest.raises(ReportError, match="导出的"):
        verify(data, open_once(library))


def test_the_terminal_tells_and_exits_by_what_it_found(real: Path, tmp_path: Path) -> None:
    file = tmp_path / "证据.json"
    file.write_bytes(write(pack(real, ""), "json"))

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "search", "verify", str(file), "--library", str(real)]
        return subprocess.run([*words, *more], capture_output=True, text=True)

    good = run()
    assert (good.returncode, good.stdout.split("：")[0]) == (0, "1. 一致")
    file.write_text(file.read_text("utf-8").replace("减时间", "加时间"), "utf-8")
    bad = run("--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)[0]["verdict"] == "消失"
    file.unlink()
    none = run()
    assert none.returncode == 1
    assert "请检查路径" in none.stderr
    assert REPORT.is_file()
