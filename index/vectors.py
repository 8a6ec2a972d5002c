"""The FAISS index of a library, derived from its rows. The one door to faiss.

It is published after the rows are committed. Where it is missing, damaged or of another
generation it is built anew from the rows, without encoding anything.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.database import facts, reading, set_facts, told, writing
from index.encoder import Vectors

FILE = "vectors.faiss"


def load(folder: Path, connection: sqlite3.Connection, known: dict[str, Any]) -> Any:
    """Return the index: from the file if it is the one recorded, else from the rows.

    FAISS files carry no checksum, and damaged ones may load and answer differently; so the hash
    is compared before the bytes are read as an index.
    """
    import faiss

    data = _recorded(folder, known)
    if data is None:
        return _build(connection, int(known["dim"]))
    return faiss.deserialize_index(np.frombuffer(data, np.uint8))


def nearest(
    index: Any, questions: Vectors, limit: int, among: npt.NDArray[np.int64] | None
) -> list[list[tuple[int, float]]]:
    """Return for each row of float32 [n, dim] the nearest ids, best first, ties by id.

    Each as (id, cosine); at most ``limit``; ``among`` these ids alone, if given.
    """
    import faiss

    parameters: Any = faiss.SearchParameters
    limit = min(limit, index.ntotal if among is None else len(among))
    if not limit:
        return [[] for _ in questions]
    chosen = None
    if among is not None:
        chosen = parameters(sel=faiss.IDSelectorBatch(among))
    cosines, ids = index.search(np.ascontiguousarray(questions), limit, params=chosen)
    return [
        sorted(
            ((int(i), float(c)) for i, c in zip(row, its, strict=True) if i >= 0),
            key=lambda found: (-found[1], found[0]),
        )
        for row, its in zip(ids, cosines, strict=True)
    ]


def publish(folder: Path) -> None:
    """Write the index of the newest generation if it is not there: to a temporary name, renamed."""
    import faiss

    with told(folder), reading(folder) as connection:
        if _recorded(folder, facts(connection)) is not None:
            return
    with told(folder), writing(folder) as connection:
        known = facts(connection)
        data = faiss.serialize_index(_build(connection, int(known["dim"]))).tobytes()
        temporary = folder / f"{FILE}.tmp"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / FILE)
        set_facts(
            connection,
            vectors_generation=known["generation"],
            vectors_sha256=hashlib.sha256(data).hexdigest(),
        )


def faults(folder: Path, connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with the file, a Chinese sentence each."""
    import faiss

    known = facts(connection)
    data = _recorded(folder, known)
    if data is None:
        return [f"{FILE} 与数据库的记录不符，查询会改用数据库里的向量；再添加一次报告即可重写"]
    index: Any = faiss.deserialize_index(np.frombuffer(data, np.uint8))
    ids, stored = rows(connection, int(known["dim"]))
    same = np.array_equal(faiss.vector_to_array(index.id_map), ids) and np.array_equal(
        index.index.reconstruct_n(0, index.ntotal), stored
    )
    return [] if same else [f"{FILE} 与数据库里的向量不一致"]


def rows(connection: sqlite3.Connection, dim: int) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Return the ids of all segments and their vectors, float32 [n, dim]."""
    found = connection.execute("SELECT id, vector FROM segments ORDER BY id").fetchall()
    return np.array([id for id, _ in found], np.int64), unpack((blob for _, blob in found), dim)


def unpack(blobs: Iterable[bytes], dim: int) -> Vectors:
    """Return stored vectors as float32 [n, dim]."""
    return np.frombuffer(b"".join(blobs), np.float32).reshape(-1, dim)


def _recorded(folder: Path, known: dict[str, Any]) -> bytes | None:
    """Return the file's bytes if they are those recorded for this generation."""
    file = folder / FILE
    data = file.read_bytes() if file.is_file() else b""
    current = known.get("vectors_generation") == known["generation"]
    same = hashlib.sha256(data).hexdigest() == known.get("vectors_sha256")
    return data if current and same else None


def _build(connection: sqlite3.Connection, dim: int) -> Any:
    import faiss

    index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    ids, stored = rows(connection, dim)
    if len(ids):
        index.add_with_ids(stored, ids)
    return index
