"""The SQLite file of a library: schema, connections, and what to tell when they fail."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from index.contract import MadeBy
from index.errors import ReportError, reason

FORMAT = 2
DATABASE = "library.db"
SEAL = "library.seal"
WAIT = 5.0

LARGE = 2**29
"""Bytes of a file above which hashing it, which takes seconds, is left to ``verify``. Derived ones are
mapped then instead of read: many processes share them."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, text TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE, text_sha256 TEXT NOT NULL, vectors_sha256 TEXT NOT NULL,
    title TEXT, issuer TEXT, doc_number TEXT, signer TEXT, addressee TEXT, date TEXT, year INTEGER,
    fields TEXT NOT NULL, furniture TEXT NOT NULL, pages TEXT NOT NULL
);
CREATE TABLE files (
    path TEXT PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE sections (
    id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    path TEXT NOT NULL, kind TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    run_in INTEGER NOT NULL
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    number INTEGER NOT NULL, spans TEXT NOT NULL, role TEXT NOT NULL,
    section_id INTEGER REFERENCES sections ON DELETE CASCADE,
    kind TEXT NOT NULL, header TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    passage_id INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE,
    grain TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, vector BLOB NOT NULL
);
CREATE INDEX sections_document ON sections (document_id);
CREATE INDEX passages_document ON passages (document_id);
CREATE INDEX passages_section ON passages (section_id);
CREATE INDEX passages_digest ON passages (digest);
CREATE INDEX files_document ON files (document_id);
CREATE INDEX segments_passage ON segments (passage_id);
CREATE VIRTUAL TABLE lexicon USING fts5 (terms, tokenize = "unicode61 remove_diacritics 0 tokenchars '.'");
CREATE VIRTUAL TABLE lexicon_terms USING fts5vocab (lexicon, row);
"""


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that reads."""
    connection = connect(folder, writing=False)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, alone: committed at the end, undone by any exception."""
    connection = connect(folder, writing=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        _unseal(folder)
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def _unseal(folder: Path) -> None:
    """Take the seal away for good: after a power cut it must not be beside what is written now."""
    if not (folder / SEAL).is_file():
        return
    (folder / SEAL).unlink()
    if os.name == "posix":
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn what the storage raises into a sentence for the user."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc) or "busy" in str(exc):
            raise ReportError(f"资料库“{folder}”正被另一个程序写入，请等它结束后再试。") from exc
        full = "full" in str(exc)
        raise ReportError(
            f"不能读写资料库“{folder}”：{'磁盘已满' if full else '数据库打不开或不能写'}，"
            "请检查磁盘空间和权限，或换一个文件夹。"
        ) from exc
    except UnicodeEncodeError as exc:
        raise ReportError("收到的不是正常的文字，请换一种写法。") from exc
    except (sqlite3.DatabaseError, LookupError, ValueError, TypeError) as exc:
        raise ReportError(
            f"资料库文件“{folder / DATABASE}”已损坏，请删除该文件夹后重新添加报告。"
        ) from exc
    except OSError as exc:
        raise ReportError(
            f"不能读写资料库“{folder}”：{reason(exc)}，请检查路径、磁盘空间和权限。"
        ) from exc


def put(file: Path, data: bytes) -> None:
    """Put a file in the place of another, whole or not at all."""
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        with temporary.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def connect(folder: Path, *, writing: bool) -> sqlite3.Connection:
    """Open the file; who finds another writing waits for ``WAIT`` seconds."""
    path = (folder / DATABASE).resolve()
    # A folder that cannot be written cannot hold the shared memory of a WAL. If nothing waits in
    # the WAL the file alone is the library.
    log = folder / f"{DATABASE}-wal"
    sealed = not os.access(folder, os.W_OK) and not (log.is_file() and log.stat().st_size)
    mode = "rwc" if writing else "ro&immutable=1" if sealed else "ro"
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=WAIT,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def facts(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what the library says of itself; nothing if there is no library in the file yet."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return {}
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def newest(folder: Path) -> str | None:
    """Return the version of the newest generation; None where nothing is yet."""
    with told(folder):
        if not (folder / DATABASE).is_file():
            return None
        with reading(folder) as connection:
            known = facts(connection)
            return version_of(known) if known.get("generation") else None


def traces(folder: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """Return place, size and time of the files of a library; None for one that is not there, the seal last.

    After whatever is committed and sealed the last is another.
    """
    names = (DATABASE, f"{DATABASE}-wal", SEAL)
    return tuple(_trace(f"{folder}{os.sep}{name}") for name in names)


def _trace(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # a ``Path`` takes as long again
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def version_of(known: dict[str, Any]) -> str:
    """Return what tells one state of one library from every other."""
    return f"{known['library']}:{known['generation']}"


def made_by(known: dict[str, Any]) -> MadeBy:
    """Return the model that the library was made by."""
    return MadeBy(str(known["encoder"]), str(known["fingerprint"]), int(known["dim"]))


def set_facts(connection: sqlite3.Connection, **values: Any) -> None:
    """Record what the library says of itself."""
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


def check_format(folder: Path, connection: sqlite3.Connection) -> None:
    """Raise ``ReportError`` unless the file is a library of this format."""
    found = facts(connection).get("format")
    if found != FORMAT:
        what = "不是依据的资料库" if found is None else f"是格式 {found}，本程序需要格式 {FORMAT}"
        raise ReportError(
            f"文件“{folder / DATABASE}”{what}，请移走它，再用 python -m index add 重新添加报告。"
        )
