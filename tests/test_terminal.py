"""The two commands of the terminal, run as a user runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from index import Library
from index.__main__ import main as index_main
from search import search
from search.__main__ import main as search_main
from tests.conftest import REPORT, ROOT, FakeEncoder


def index(library: Path, *words: str | Path) -> int:
    return index_main(["--library", str(library), *map(str, words)])


@pytest.fixture(autouse=True)
def _fake_everywhere(fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.library.load_encoder", lambda *_, **__: fake)


def test_add_tells_what_it_added_and_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (index(tmp_path / "l", "add", REPORT), index(tmp_path / "l", "add", REPORT)) == (0, 0)
    assert capsys.readouterr().out == f"新增：{REPORT}\n未变：{REPORT}\n"


def test_add_goes_on_after_a_bad_file_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(tmp_path / "l", "add", tmp_path / "no.md", REPORT) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"新增：{REPORT}",
        "",
        "新增  更新  未变  拒绝  新增段落",
        "1     0     0     1     34",
    ]
    assert err == f"不能读取“{tmp_path / 'no.md'}”：文件不存在，请检查路径。\n"


def test_list_shows_each_report_on_a_line(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(library, "list") == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["编号", "标题", "发文机关", "地区", "年度", "文号", "日期", "段落"]
    assert line.split() == [
        "1",
        "关于郑州市2019年度法治政府建设情况的报告",
        "郑州市人民政府",
        "郑州",
        "2019",
        "郑政文〔2020〕23号",
        "2020-02-20",
        "34",
    ]


def test_list_as_json_holds_the_metadata(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert index(library, "list", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["region"], found["year"], found["date"], found["passages"]) == (
        "郑州",
        2019,
        "2020-02-20",
        34,
    )


OTHER = "洛阳市人民政府关于2021年度工作的报告\n一、成效\n全年受理行政复议案件 41 件，全部办结。\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have it: reports in folders, and other things."""
    found = tmp_path / "reports"
    (found / "sub").mkdir(parents=True)
    shutil.copy(REPORT, found / "a.md")
    (found / "sub" / "b.txt").write_text(OTHER, "utf-8")
    (found / "sub" / "copy.txt").write_text(OTHER, "utf-8")
    (found / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")
    (found / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    (found / "notes.tsv").write_text("a\tb")
    (found / ".hidden.md").write_text("不要。")
    (found / "link.md").symlink_to(REPORT)
    return found


def test_a_folder_is_walked_and_ends_with_a_table_and_an_exit_code(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(tmp_path / "l", "add", folder) == 1
    out, err = capsys.readouterr()
    assert "2     0     1     2     36" in out
    assert "另有 2 个文件不是报告的格式或是链接，没有理会：link.md、notes.tsv" in out
    assert ("bad.pdf" in err, "old.doc" in err) == (True, True)
    assert index(tmp_path / "l", "verify") == 0


def test_a_second_run_changes_nothing_and_loads_no_model(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(tmp_path / "l", "add", folder)
    before = {file: file.read_bytes() for file in (tmp_path / "l").glob("[lv]*s")}
    monkeypatch.setattr("index.library.load_encoder", lambda *_, **__: pytest.fail("a model"))
    index(tmp_path / "l", "add", folder)
    assert {file: file.read_bytes() for file in (tmp_path / "l").glob("[lv]*s")} == before


def test_a_changed_file_takes_the_place_of_its_old_version(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "l"
    index(library, "add", folder / "sub" / "b.txt")
    (folder / "sub" / "b.txt").write_text(OTHER.replace("41", "42"), "utf-8")
    index(library, "add", folder / "sub" / "b.txt")
    assert "更新：" in capsys.readouterr().out
    index(library, "list", "--json")
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert "42" in search("受理行政复议案件多少件", library=library)[0].text


def test_a_report_stays_while_another_file_holds_it(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "l"
    index(library, "add", folder / "sub")
    (folder / "sub" / "b.txt").write_text(OTHER.replace("41", "42"), "utf-8")
    index(library, "add", folder / "sub")
    capsys.readouterr()
    index(library, "list", "--json")
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_ctrl_c_keeps_what_was_finished(
    tmp_path: Path, folder: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    encode, calls = fake.encode_passages, []

    def interrupted(texts: list[str]) -> object:
        if any("41" in text for text in texts) and calls:
            raise KeyboardInterrupt
        calls.append(1)
        return encode(texts)

    monkeypatch.setattr(fake, "encode_passages", interrupted)
    assert index(tmp_path / "l", "add", folder / "a.md", folder / "sub") == 130
    out, err = capsys.readouterr()
    assert ("还有 2 份没有处理" in out, "已中断，资料库完好" in err) == (True, True)
    monkeypatch.undo()
    assert index(tmp_path / "l", "verify") == 0
    with Library.open(tmp_path / "l") as opened:
        assert [entry.document.name for entry in opened.entries()] == ["a.md"]


def test_check_shows_what_was_understood_and_adds_nothing(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(tmp_path / "l", "check", folder) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[-3:] == ["最长", "页面杂项", "无归属"]
    assert out[1].split()[-7:] == ["29", "9", "34", "0", "518", "0", "1"]
    assert not (tmp_path / "l").exists()


def test_the_filters_and_the_comparison_work_in_the_terminal(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index(tmp_path / "l", "add", folder)
    capsys.readouterr()
    question = ["受理行政复议多少件", "--library", str(tmp_path / "l")]
    assert search_main([*question, "--region", "洛阳市", "--year", "2021", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert {hit["document"]["region"] for hit in hits} == {"洛阳"}
    assert search_main(["\udcff受理多少件", *question[1:], "--json"]) == 0  # a byte that is no text
    assert json.loads(capsys.readouterr().out.encode())["query"] == "\udcff受理多少件"
    assert search_main([*question, "--compare"]) == 0
    assert "洛阳市人民政府关于2021年度工作的报告：41 件。[已完成]" in capsys.readouterr().out
    assert search_main([*question, "--year", "1999"]) == 1
    assert "现有的年度：2019、2021" in capsys.readouterr().err


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
    assert out == f"1. [{hit.kind}] {hit.text}（分行拼接）\n   —— {hit.citation}\n"


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


def test_two_libraries_at_once_are_refused(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        search_main(["问", "--library", str(library), "--store", "milvus://localhost:19530/a"])
    assert "参数不对" in capsys.readouterr().err


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
    answer, citation, _, hit = run.stdout.splitlines()[:4]
    assert answer.startswith("回答：王新伟（把握 ") and citation.endswith("，签发人，第3段")
    assert hit == "1. [其他] 签发人：王新伟"
    assert (where / "library.db").is_file()


def test_whoever_reads_only_the_beginning_gets_no_traceback(real: Path) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-m", "search", "--library", str(real), "行政复议受理了多少件？"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert asking.stdout
    asking.stdout.close()
    assert asking.communicate()[1] == ""


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_a_wrong_number_of_workers_is_refused(
    capsys: pytest.CaptureFixture[str], number: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        index_main(["add", "--workers", number, str(REPORT)])
    assert "参数不对" in capsys.readouterr().err
