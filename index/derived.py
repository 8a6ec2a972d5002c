"""The files that are derived from a library's rows, and what to do where they are not there.

They are published after the rows are committed, and recorded with their generation and hashes. Where
one is missing, damaged or of another generation it is made anew from the rows: nothing is encoded.
"""

import hashlib
import io
import os
import sqlite3
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from index import columns, vectors
from index.columns import Columns
from index.database import DATABASE, LARGE, facts, put, reading, set_facts, told, writing
from index.vectors import Index

_END = 2**20

_LAYOUT = "2"
"""Of what is in the files: those of another are made anew, by this release as by the one before."""

FILES = (vectors.FILE, columns.FILE)

Kept = TypeVar("Kept", Index, Columns)


def load_index(folder: Path, connection: sqlite3.Connection, known: dict[str, Any]) -> Index:
    """Return the FAISS index of a library.

    FAISS files carry no checksum, and damaged ones may load and answer differently.
    """
    found = _load(folder / vectors.FILE, known, Index) if _current(vectors.FILE, known) else None
    return _of_rows(Index, connection, known) if found is None else found


def load_columns(folder: Path, connection: sqlite3.Connection, known: dict[str, Any]) -> Columns:
    """Return the columns of a library."""
    found = _load(folder / columns.FILE, known, Columns) if _current(columns.FILE, known) else None
    return _of_rows(Columns, connection, known) if found is None else found


def publish(folder: Path) -> None:
    """Write the files of the newest generation where they are not there.

    They are made from a snapshot, so that no writer waits for it. If one comes in meanwhile nothing
    is recorded: it publishes its own.
    """
    with told(folder):
        with reading(folder) as connection:
            connection.execute("BEGIN")
            known = facts(connection)
            lacking = [
                name
                for name in FILES
                if not (folder / name).is_dir() and not _is_recorded(folder / name, known)
            ]
            made = {name: _made(name, connection, known, folder) for name in lacking}
        if not made:
            return
        with writing(folder) as connection:
            if facts(connection)["generation"] != known["generation"]:
                return
            for name, data in made.items():
                put(folder / name, data)
                ends = _sha256(_ends(io.BytesIO(data), len(data)))
                record = f"{known['generation']} {_sha256(data)} {ends}"
                set_facts(connection, **{f"{name} {_LAYOUT}": record})


def is_published(folder: Path) -> bool:
    """Whether both files are recorded for the newest generation; nothing is hashed."""
    with told(folder):
        if not (folder / DATABASE).is_file():
            return True
        with reading(folder) as connection:
            known = facts(connection)
            return not known or all(_current(name, known) for name in FILES)


def faults(folder: Path, connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with the files, a Chinese sentence each."""
    known, wrong = facts(connection), []
    for name in FILES:
        if (folder / name).is_dir():
            wrong.append(
                f"{name} 的位置上是一个文件夹，查询会慢一些；删除它，再添加一次报告即可重写"
            )
        elif _record(name, known)[0] and not _is_recorded(folder / name, known):
            wrong.append(
                f"{name} 与数据库的记录不符，查询会改用数据库里的内容；再添加一次报告即可重写"
            )
    if wrong or not all(_record(name, known)[0] for name in FILES):  # of a release before
        return wrong
    index = _load(folder / vectors.FILE, known, Index)
    expected = _of_rows(Columns, connection, known)
    if index is not None and not index.agrees(expected):
        wrong.append(f"{vectors.FILE} 与数据库里的向量不一致")
    if expected.data() != (folder / columns.FILE).read_bytes():
        wrong.append(f"{columns.FILE} 与数据库里的内容不一致")
    return wrong


def _made(name: str, connection: sqlite3.Connection, known: dict[str, Any], folder: Path) -> bytes:
    if name == columns.FILE:
        return _of_rows(Columns, connection, known).data()
    grown = _grown(folder, connection, known)
    return (_of_rows(Index, connection, known) if grown is None else grown).data()


def _grown(folder: Path, connection: sqlite3.Connection, known: dict[str, Any]) -> Index | None:
    """Return the index of an earlier generation with what was added since.

    None if there is none, if something was removed since, or if it would not suit so many.
    """
    if _record(vectors.FILE, known)[0] != _record(columns.FILE, known)[0]:
        return None
    index = _load(folder / vectors.FILE, known, Index, mapped=False)
    before = _load(folder / columns.FILE, known, Columns)
    if index is None or before is None or not len(before.segments):
        return None
    last = int(before.segments[-1])  # ids rise, and none is given twice
    left = connection.execute("SELECT count(*) FROM segments WHERE id <= ?", (last,)).fetchone()[0]
    return index.grown(connection, last) if left == len(before.segments) else None


def _load(
    file: Path, known: dict[str, Any], kind: type[Kept], *, mapped: bool = True
) -> Kept | None:
    """Return what a file holds; None if it is not the one recorded, for whatever generation."""
    _, whole, ends = _record(file.name, known)
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        if size <= LARGE or not mapped:
            data = opened.read()
            return kind.of_data(data) if _sha256(data) == whole else None
        if _sha256(_ends(opened, size)) != ends:
            return None
        held = kind.of_file(file)  # by its name, which may be that of another by now
        return held if os.path.samestat(os.fstat(opened.fileno()), file.stat()) else None


def _of_rows(kind: type[Kept], connection: sqlite3.Connection, known: dict[str, Any]) -> Kept:
    return kind.of_rows(connection, int(known["dim"]))


def _is_recorded(file: Path, known: dict[str, Any]) -> bool:
    """Whether a file is the one recorded for this generation, to the bit."""
    if not _current(file.name, known) or not file.is_file():
        return False
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == _record(file.name, known)[1]


def _current(name: str, known: dict[str, Any]) -> bool:
    return _record(name, known)[0] == str(known["generation"])


def _record(name: str, known: dict[str, Any]) -> tuple[str, str, str]:
    """Return what is recorded of a file: its generation, its hash and that of its ends."""
    generation, whole, ends = str(known.get(f"{name} {_LAYOUT}", "  ")).split(" ")
    return generation, whole, ends


def _ends(opened: BinaryIO, size: int) -> bytes:
    first = opened.read(_END)
    opened.seek(max(0, size - _END))
    return first + opened.read() + str(size).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
