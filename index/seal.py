"""The SHA-256 of a library's database, kept beside it while nothing writes, with its version.

SQLite does not notice a bit that flips in a row or in its full-text index; the hits would be others.
Whoever writes takes the seal away first (``database.writing``) and who has finished sets it anew. A
library without one, after a crash say, is read unchecked.
"""

import hashlib
import os
import sqlite3
import threading
from collections import OrderedDict
from pathlib import Path

from index.database import DATABASE, LARGE, SEAL, connect, facts, put, told, version_of
from index.errors import ReportError


def seal(folder: Path) -> None:
    """Seal a library, unless it is sealed or readers keep what was written from its file.

    Raises ``ReportError`` if the seal cannot be written.
    """
    with told(folder):
        if (folder / SEAL).is_file():
            return
        connection = connect(folder, writing=True)
        try:
            connection.execute("PRAGMA busy_timeout = 0")  # readers may stay for days
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            before = _commits(connection)
            if not _settled(folder):
                return
            hashed = _sha256(folder)  # may take longer than a writer waits
            connection.execute("BEGIN IMMEDIATE")  # keeps writers out
            if not _settled(folder) or _commits(connection) != before:
                return
            put(folder / SEAL, _sealing(version_of(facts(connection)), hashed).encode())
        finally:
            connection.close()


def check(folder: Path, version: str, *, whole: bool = False) -> None:
    """Raise ``ReportError`` if a database is not what was sealed, or another library's.

    Of one that is ``LARGE`` only the latter is checked, unless ``whole``.

    A seal of another generation is of a state before or after: a backup, a crash. It tells nothing.
    """
    words = _words(folder)
    sealed = words.split(" ")[0]
    if not words or not _settled(folder):
        return
    if sealed == version and not whole and (folder / DATABASE).stat().st_size > LARGE:
        sound = True
    elif sealed == version:
        sound = words == _sealing(version, _sha256(folder))
    else:
        sound = sealed.split(":")[0] == version.split(":")[0]
    if not sound and words == _words(folder) and _settled(folder):  # nobody writes meanwhile
        raise ReportError(
            f"资料库文件“{folder / DATABASE}”已损坏或换成了别的，请从备份恢复，或删除该文件夹后重新添加报告。"
        )


def _commits(connection: sqlite3.Connection) -> int:
    """Return a number that is another after a commit of anybody else."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _settled(folder: Path) -> bool:
    """Whether all that was written is in the file itself."""
    log = folder / f"{DATABASE}-wal"
    return not log.is_file() or log.stat().st_size == 0


_HELD = 64
_held: OrderedDict[tuple[int, int], int] = OrderedDict()
"""Descriptors of databases that were hashed, by device and inode; the last ``_HELD`` stay open.

To close any descriptor of a file gives up all locks that the process has on it (POSIX). Another process
would then take itself for the only one and remove the log from under the readers of this one; see
https://www.sqlite.org/howtocorrupt.html, 2.2.
"""
_holding = threading.Lock()


def _sha256(folder: Path) -> str:
    if os.name != "posix":
        with (folder / DATABASE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    opened, digest, at = _descriptor(folder / DATABASE), hashlib.sha256(), 0
    while block := os.pread(opened, 2**20, at):  # threads share it, and would its place in the file
        digest.update(block)
        at += len(block)
    return digest.hexdigest()


def _descriptor(file: Path) -> int:
    """Return an open descriptor of a file, the same each time."""
    with _holding:
        found = file.stat()
        known = found.st_dev, found.st_ino
        if known not in _held:
            _held[known] = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        _held.move_to_end(known)
        while len(_held) > _HELD:
            os.close(_held.popitem(last=False)[1])
        return _held[known]


def _sealing(version: str, sha256: str) -> str:
    """Return what a seal says: version, hash, and a hash of both, since it may be damaged too."""
    told = f"{version} {sha256}"
    return f"{told} {hashlib.sha256(told.encode()).hexdigest()}"


def _words(folder: Path) -> str:
    """Return what the seal says; empty if there is none, or it is damaged itself."""
    if not (folder / SEAL).is_file():  # a pipe would be waited for
        return ""
    try:
        words = (folder / SEAL).read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    parts = words.split(" ")
    return words if len(parts) == 3 and words == _sealing(*parts[:2]) else ""
