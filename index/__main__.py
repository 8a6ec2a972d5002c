"""Keep a library from the terminal: ``python -m index add PATH… | list | remove ID | check | verify | migrate``."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from index.checker import HEADINGS, check
from index.contract import Entry
from index.errors import ReportError, printable
from index.library import (
    Added,
    Location,
    add_many,
    ensure_default,
    locate,
    migrate,
    open_at,
    publish,
    remove,
    reports_in,
)
from index.readers import SUFFIXES
from index.terminal import Parser, add_library, metadata, run, table
from index.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, or 1 after a Chinese sentence on stderr."""
    given = _parser().parse_args(arguments)

    def command() -> int:
        where = locate(given.library or None)
        if given.library is None and given.run is not _check:
            ensure_default(where, model=getattr(given, "model", None))
        return int(given.run(given, where))

    return run(command, interrupted="已中断，资料库完好，已添加的报告仍在。")


def _add(given: argparse.Namespace, where: Location) -> int:
    files, others = _files(given.paths)
    if not files:
        raise ReportError(
            f"没有可以添加的报告：“{given.paths[0]}”里没有 {'、'.join(SUFFIXES)} 文件，请换一个文件夹。"
        )
    told: list[Added] = []
    passages = 0
    with tqdm(total=len(files), desc="添加", unit="份", disable=not sys.stderr.isatty()) as bar:
        try:
            with contextlib.closing(
                add_many(files, where, model=given.model, workers=given.workers)
            ) as adding:
                for done in adding:
                    told.append(done)
                    passages += done.passages
                    bar.set_postfix_str(f"{passages} 段")
                    bar.update()
                    bar.clear()
                    if done.outcome is None:
                        print(done.reason, file=sys.stderr)
                    else:
                        print(printable(f"{done.outcome}：{done.file}"))
        finally:
            _summary(told, len(files), others)
    return 1 if any(done.outcome is None for done in told) else 0


def _files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    found = [reports_in(path) for path in paths]
    files = dict.fromkeys(file for known, _ in found for file in known)
    return list(files), [file for _, others in found for file in others]


def _summary(told: Sequence[Added], expected: int, others: Sequence[Path]) -> None:
    """Print what became of the files, if there were several."""
    if expected > 1 or others:
        counts = [
            sum(done.outcome == outcome for done in told)
            for outcome in ("新增", "更新", "未变", None)
        ]
        rows = [[str(count) for count in (*counts, sum(done.passages for done in told))]]
        print("\n" + table(("新增", "更新", "未变", "拒绝", "新增段落"), rows))
    if len(told) < expected:
        print(f"还有 {expected - len(told)} 份没有处理。")
    if others:
        named = "、".join(file.name for file in others[:5]) + ("等" if len(others) > 5 else "")
        print(printable(f"另有 {len(others)} 个文件不是报告的格式或是链接，没有理会：{named}"))


def _list(given: argparse.Namespace, where: Location) -> int:
    with open_at(where) as library:
        entries = library.entries()
    if given.json:
        print(json.dumps([_fields(entry) for entry in entries], ensure_ascii=False, indent=2))
        return 0
    rows = [
        [
            str(value) if value is not None else "—"
            for value in (
                entry.id,
                entry.document.title or entry.document.name,
                entry.document.issuer,
                entry.document.region,
                entry.document.year,
                entry.document.doc_number,
                entry.document.date,
                entry.passages,
            )
        ]
        for entry in entries
    ]
    print(table(("编号", "标题", "发文机关", "地区", "年度", "文号", "日期", "段落"), rows))
    return 0


def _fields(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        **metadata(entry.document),
        "passages": entry.passages,
        "pages": entry.pages or None,
    }


def _remove(given: argparse.Namespace, where: Location) -> int:
    document = remove(where, given.id)
    publish(where)
    print(f"已移除：{document.title or document.name}")
    return 0


def _migrate(given: argparse.Namespace, where: Location) -> int:
    target = locate(given.target)
    refused = 0
    for done in migrate(where, target):
        if done.outcome is None:
            refused += 1
            print(done.reason, file=sys.stderr)
        else:
            print(printable(f"{done.outcome}：{done.file}"))
    print(f"已搬到：{target}")
    return 1 if refused else 0


def _check(given: argparse.Namespace, _: Location) -> int:
    files, _others = _files(given.paths)
    refused = 0
    rows: list[Sequence[str]] = []
    for file in files:
        try:
            rows.append(check(file).row())
        except ReportError as exc:
            refused += 1
            print(exc, file=sys.stderr)
    print(table(HEADINGS, rows))
    return 1 if refused else 0


def _verify(_: argparse.Namespace, where: Location) -> int:
    wrong = verify(where)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if not wrong:
        print(f"资料库完好：{where}")
    return 1 if wrong else 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("not a number from 1")
    return int(text)


def _parser() -> Parser:
    parser = Parser("python -m index", "管理报告资料库")
    add_library(parser)
    commands = parser.add_subparsers(required=True, metavar="命令", title="命令")
    told = dict(_commands())

    def command(name: str, run: object) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, prog=f"python -m index {name}", help=told[name], description=told[name]
        )
        made.set_defaults(run=run)
        return made

    adding = command("add", _add)
    adding.add_argument("paths", nargs="+", type=Path, metavar="文件或文件夹")
    adding.add_argument(
        "--workers", type=_count, metavar="N", help="同时编码几批；不写就是处理器的核数"
    )
    adding.add_argument("--model", metavar="模型", help="sentence-transformers 的模型名或文件夹")
    command("list", _list).add_argument("--json", action="store_true", help="输出 JSON")
    command("remove", _remove).add_argument("id", type=int, metavar="编号")
    command("check", _check).add_argument("paths", nargs="+", type=Path, metavar="文件或文件夹")
    command("verify", _verify)
    moving = command("migrate", _migrate)
    moving.add_argument("target", metavar="位置", help="另一个资料库：文件夹或 milvus:// 地址")
    return parser


def _commands() -> Iterator[tuple[str, str]]:
    yield "add", "添加报告（.docx、.pdf、.html、.txt、.md）或整个文件夹；改过的文件取代旧版"
    yield "list", "列出报告"
    yield "remove", "按编号移除报告"
    yield "check", "不入库，只看程序怎样理解文件：标题、段落、最长的段、没有归属的字"
    yield "verify", "检查资料库是否完好"
    yield "migrate", "把报告搬到另一个资料库，不必重新编码：文件夹与 Milvus 之间都可以"


if __name__ == "__main__":
    raise SystemExit(main())
