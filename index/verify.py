"""Check a library: the database, the index against it, every span against its text."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from index import derived, seal
from index.contract import Store
from index.database import DATABASE, check_format, reading, told
from index.library import Location
from index.milvus import MilvusLibrary
from index.store import Library


def verify(where: Location) -> list[str]:
    """Check a library; return what is wrong with it, a Chinese sentence each."""
    if isinstance(where, Path):
        return _verify_folder(where)
    with MilvusLibrary.open(where) as library:
        return [*_misplaced(library), *library.faults()]


def _verify_folder(folder: Path) -> list[str]:
    with Library.open(folder) as library:
        with told(folder):
            seal.check(folder, library.version, whole=True)
        wrong = list(_misplaced(library))
    with told(folder), reading(folder) as connection:
        check_format(folder, connection)
        for (found,) in connection.execute("PRAGMA integrity_check"):
            if found != "ok":
                wrong.append(f"{DATABASE} 已损坏：{found}")
        for table, row, *_ in connection.execute("PRAGMA foreign_key_check"):
            wrong.append(f"{DATABASE} 里有悬空的引用：{table} 第 {row} 行")
        wrong.extend(_changed_vectors(connection))
        wrong.extend(derived.faults(folder, connection))
    return wrong


def _changed_vectors(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield a sentence for each document whose vectors are not those that were written."""
    documents = "SELECT id, coalesce(title, name), vectors_sha256 FROM documents"
    segments = (
        "SELECT s.vector FROM segments s JOIN passages p ON p.id = s.passage_id"
        " WHERE p.document_id = ? ORDER BY s.id"
    )
    for id, title, recorded in connection.execute(documents).fetchall():
        found = hashlib.sha256()
        for (vector,) in connection.execute(segments, (id,)):
            found.update(vector)
        if found.hexdigest() != recorded:
            yield f"《{title}》的向量与写入时不同，请移除后重新添加"


def _misplaced(library: Store) -> Iterator[str]:
    for entry in library.entries():
        length = len(library.document(entry.id).text)
        title = entry.document.title or entry.document.name
        passages = library.passages(document=entry.document.sha256).values()
        for passage in passages:
            inside = all(0 <= a < b <= length for a, b in passage.spans)
            headed = all(0 <= a < b <= length for a, b in passage.header)
            if not (inside and headed) or any(s.end > len(passage.text) for s in passage.segments):
                yield f"《{title}》第{passage.number}段的位置超出原文"
        if sorted(p.number for p in passages) != list(range(1, entry.passages + 1)):
            yield f"《{title}》的段落编号不连续"
