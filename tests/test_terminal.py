"""The two commands of the terminal, run as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from index.__main__ import main as index_main
from search import search
from search.__main__ import main as search_main
from tests.conftest import REPORT, FakeEncoder


def index(library: Path, *words: str | Path) -> int:
    return index_main(["--library", str(library), *map(str, words)])


@pytest.fixture(autouse=True)
def _fake_everywhere(fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.__main__.load_encoder", lambda *_: fake)


def test_add_tells_what_it_added_and_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (index(tmp_path / "l", "add", REPORT), index(tmp_path / "l", "add", REPORT)) == (0, 0)
    assert capsys.readouterr().out == f"已添加：{REPORT}\n已在库中：{REPORT}\n"


def test_add_goes_on_after_a_bad_file_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(tmp_path / "l", "add", tmp_path / "no.md", REPORT) == 1
    out, err = capsys.readouterr()
    assert out == f"已添加：{REPORT}\n"
    assert err == f"不能读取“{tmp_path / 'no.md'}”：文件不存在，请检查路径。\n"


def test_list_shows_each_report_on_a_line(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(library, "list") == 0
    assert capsys.readouterr().out.split() == [
        "1",
        "关于郑州市2019年度法治政府建设情况的报告",
        "郑州市人民政府",
        "郑政文〔2020〕23号",
        "2020-02-20",
        "34",
        "段",
    ]


def test_verify_tells_a_sound_library_from_a_damaged_one(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(library, "verify") == 0
    (library / "vectors.faiss").unlink()
    assert index(library, "verify") == 1
    assert "vectors.faiss" in capsys.readouterr().err


def test_remove_takes_the_id_that_list_shows(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (index(library, "remove", "1"), index(library, "remove", "1")) == (0, 1)
    assert "编号为 1" in capsys.readouterr().err


def test_the_answer_is_printed_with_its_citation(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search_main(["--library", str(library), "--top-k", "1", "受理行政复议申请"]) == 0
    hit = search("受理行政复议申请", library=library)[0]
    out = capsys.readouterr().out
    assert out == f"1. [{hit.kind}] {hit.text}（跨页拼接）\n   —— {hit.citation}\n"


def test_json_holds_the_whole_hit(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search_main(["--library", str(library), "--json", "受理行政复议申请"]) == 0
    shown = json.loads(capsys.readouterr().out)
    hit = search("受理行政复议申请", library=library)[0]
    first = shown["hits"][0]
    assert (shown["found"], len(shown["hits"])) == (True, 5)
    assert (first["text"], first["citation"], first["score"]) == (hit.text, hit.citation, hit.score)
    assert first["spans"] == [list(span) for span in hit.spans]
    assert first["document"]["date"] == "2020-02-20"


@pytest.mark.parametrize("words", [["--top-k", "0", "复议"], ["  "], ["问" * 513]])
def test_a_bad_question_is_one_chinese_sentence_and_1(
    library: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert search_main(["--library", str(library), *words]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("module", ["index", "search", "search.evaluation"])
def test_a_wrong_call_exits_with_2_and_speaks_chinese(module: str) -> None:
    run = subprocess.run([sys.executable, "-m", module, "--no"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("用法：")
    assert "参数不对" in run.stderr


@pytest.mark.parametrize("module", ["index", "search", "search.evaluation"])
def test_the_help_is_chinese(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    words = ("usage", "positional", "options", "show this", "default")
    assert [word for word in words if word in run.stdout] == []


def test_the_first_question_builds_the_default_library(tmp_path: Path, encoder: object) -> None:
    where = tmp_path / "mine"
    run = subprocess.run(
        [sys.executable, "-m", "search", "--top-k", "1", "谁签发的"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "YIJU_LIBRARY": str(where)},
    )
    assert run.stdout.startswith("1. [其他] 签发人：王新伟\n")
    assert (where / "library.db").is_file()
