"""The README says what is so."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_first_screen_has_exactly_the_two_commands() -> None:
    first = README.split("\n## ")[0]
    commands = re.findall(r"```bash\n(.*?)```", first, re.S)
    assert commands == [
        "pip install -e . && python ui.py\n",
        "pip install -e '.[test]' && pytest\n",
    ]


@pytest.mark.parametrize(("lines", "printed"), [(0, 0), (2, 1)])
def test_the_python_lines_print_what_stands_below_them(
    real: Path, lines: int, printed: int
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", blocks("python")[lines]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "YIJU_LIBRARY": str(real)},
    )
    assert run.stdout == blocks("text")[printed]


@pytest.mark.parametrize("module", ["index", "search", "ui"])
def test_every_option_of_the_terminal_is_told(module: str) -> None:
    names = {"index": ["", "add"], "search": ["", "verify"], "ui": [""]}[module]
    for name in names:
        words = [sys.executable, "-m", module, *name.split(), "--help"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"--[a-z-]+", text)) - {"--help"}
        assert {option for option in options if option not in README} == set()


def test_every_attribute_that_is_told_exists() -> None:
    from index.types import Document
    from search import Hit

    table = README.split("| `Hit` 的属性")[1].split("\n\n")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines()[2:]]
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert names <= set(dir(Hit))
    told = set(re.findall(r"`(\w+)`", rows[-1][1]))
    assert told <= set(dir(Document))


def test_the_shipped_report_is_part_of_the_package() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert "reports/*.md" in data["package-data"]["index"]
    assert (ROOT / "index/reports/zhengzhou-2019.md").is_file()
