"""Keep a library from the terminal: ``python -m index add FILE… | list | remove ID | verify``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from index.changes import remove, version
from index.documents import read
from index.encoder import load_encoder
from index.errors import ReportError
from index.library import default_folder, ensure_default, insert, publish
from index.store import Library
from index.terminal import Parser, run
from index.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, or 1 after a Chinese sentence on stderr."""
    given = _parser().parse_args(arguments)
    folder: Path = given.library or default_folder()

    def command() -> int:
        if given.library is None:
            ensure_default(folder, model=getattr(given, "model", None))
        return int(given.run(given, folder))

    return run(command, interrupted="已中断，资料库完好，已添加的报告仍在。")


def _add(given: argparse.Namespace, folder: Path) -> int:
    encoder = load_encoder(given.model or _encoder_of(folder))
    refused = 0
    for file in given.files:
        try:
            added = insert(read(file), folder, encoder=encoder)
            print(f"{'已添加' if added else '已在库中'}：{file}")
        except ReportError as exc:
            refused += 1
            print(exc, file=sys.stderr)
    if refused < len(given.files):
        publish(folder)
    return 1 if refused else 0


def _list(_: argparse.Namespace, folder: Path) -> int:
    with Library.open(folder) as library:
        for entry in library.entries():
            d = entry.document
            facts = (d.title or d.name, d.issuer, d.doc_number, d.date and d.date.isoformat())
            shown = "\t".join(fact or "—" for fact in facts)
            print(f"{entry.id}\t{shown}\t{entry.passages} 段")
    return 0


def _remove(given: argparse.Namespace, folder: Path) -> int:
    document = remove(folder, given.id)
    publish(folder)
    print(f"已移除：{document.title or document.name}")
    return 0


def _verify(_: argparse.Namespace, folder: Path) -> int:
    wrong = verify(folder)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if not wrong:
        print(f"资料库完好：{folder}")
    return 1 if wrong else 0


def _encoder_of(folder: Path) -> str | None:
    """Return the model that an existing library was made by."""
    if not version(folder):
        return None
    with Library.open(folder) as library:
        return library.encoder_name


def _parser() -> Parser:
    parser = Parser("python -m index", "管理报告资料库")
    parser.add_argument("--library", type=Path, metavar="文件夹", help="资料库的位置")
    commands = parser.add_subparsers(required=True, metavar="命令", title="命令")
    command = commands.add_parser(
        "add",
        prog="python -m index add",
        help="添加报告（.md、.txt）",
        description="添加报告（.md、.txt）",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="文件")
    command.add_argument("--model", metavar="模型", help="sentence-transformers 的模型名或文件夹")
    command.set_defaults(run=_add)
    commands.add_parser(
        "list", prog="python -m index list", help="列出报告", description="列出报告"
    ).set_defaults(run=_list)
    command = commands.add_parser(
        "remove", prog="python -m index remove", help="按编号移除报告", description="按编号移除报告"
    )
    command.add_argument("id", type=int, metavar="编号")
    command.set_defaults(run=_remove)
    commands.add_parser(
        "verify",
        prog="python -m index verify",
        help="检查资料库是否完好",
        description="检查资料库是否完好",
    ).set_defaults(run=_verify)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
