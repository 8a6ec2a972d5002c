"""A command line whose own words are Chinese."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from index.errors import ReportError, printable
from index.terms import columns
from index.types import Report


def add_library(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the library is."""
    parser.add_argument(
        "--library",
        "--store",
        action=_Once,
        metavar="位置",
        help="资料库：一个文件夹，或 milvus://主机:端口/名称",
    )


class _Once(argparse.Action):
    """Keep the value of an option; two of them are a wrong call."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} was given already")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that tells a wrong call in Chinese and exits with 2."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, add_help=False)
        self._positionals.title = "参数"
        self._optionals.title = "选项"
        self.add_argument("-h", "--help", action="help", help="显示这段说明")

    def error(self, message: str) -> NoReturn:
        """Print the usage and leave with 2; argparse's own reason is English and stays out."""
        self.print_usage(sys.stderr)
        self.exit(2, f"参数不对，请看 {self.prog} --help。\n")

    def format_usage(self) -> str:
        """Return the usage line, headed in Chinese."""
        return super().format_usage().replace("usage:", "用法：", 1)

    def format_help(self) -> str:
        """Return the help text, headed in Chinese."""
        return super().format_help().replace("usage:", "用法：", 1)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as columns that line up in a terminal, where Chinese is two columns wide."""
    lines = [tuple(headings), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def metadata(document: Report) -> dict[str, object]:
    """Return what is known of a report, ready for JSON."""
    names = (
        "name", "title", "issuer", "region", "doc_number", "signer", "addressee", "year", "sha256",
    )  # fmt: skip
    found = {name: getattr(document, name) for name in names}
    return {**found, "date": document.date and document.date.isoformat()}


def run(command: Callable[[], int], *, interrupted: str = "已中断。") -> int:
    """Return the exit code of a command: its own, 1 after a ``ReportError``, 130 after Ctrl-C.

    What went wrong is one Chinese sentence on stderr.
    """
    try:
        return command()
    except ReportError as exc:
        print(exc, file=sys.stderr)
        return 1
    except BrokenPipeError:  # ``| head`` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130
