"""The SHA-256 of a library's database, kept beside it while nothing writes, with its version.

SQLite does not notice a bit that flips in a row or in its full-text index; the hits would be others.
Whoever writes takes the seal away first (``database.writing``) and who has finished sets it anew. A
library without one, after a crash say, is read unchecked.
"""

import hashlib
import sqlite3
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


def _sha256(folder: Path) -> str:
    with (folder / DATABASE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
