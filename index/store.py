"""A library on disk: SQLite holds the truth, the FAISS index is derived from it.

The one door to faiss. A reader sees the generation it opened, whatever is written meanwhile. The
FAISS file is published after the rows are committed; where it is missing, damaged or of another
generation it is built anew from the rows, without encoding anything.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np

from index.encoder import Encoder, Vectors
from index.errors import ReportError
from index.types import Document, Field, Passage, Section, Segment

FORMAT = 1
DATABASE = "library.db"
VECTORS = "vectors.faiss"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, text TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE, title TEXT, issuer TEXT, doc_number TEXT, signer TEXT,
    addressee TEXT, date TEXT, year INTEGER, fields TEXT NOT NULL
);
CREATE TABLE sections (
    id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    path TEXT NOT NULL, kind TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    run_in INTEGER NOT NULL
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    number INTEGER NOT NULL, spans TEXT NOT NULL, role TEXT NOT NULL,
    section_id INTEGER REFERENCES sections ON DELETE CASCADE
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    passage_id INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE,
    grain TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, vector BLOB NOT NULL
);
CREATE INDEX sections_document ON sections (document_id);
CREATE INDEX passages_document ON passages (document_id);
CREATE INDEX segments_passage ON segments (passage_id);
CREATE VIRTUAL TABLE lexicon USING fts5 (terms, tokenize = "unicode61 remove_diacritics 0");
CREATE VIRTUAL TABLE lexicon_terms USING fts5vocab (lexicon, row);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a library with the id by which it is removed."""

    id: int
    document: Document
    passages: int


@dataclass(frozen=True, slots=True)
class Match:
    """A segment and its nearness to a question: cosine, higher is nearer."""

    segment: Segment
    cosine: float


class Library:
    """A library opened for reading, at one generation. Thread-safe. Close it when done."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = threading.Lock()
        self._documents: dict[int, Document] = {}
        self._meta = _meta(connection)
        self.generation = int(self._meta["generation"])
        self.encoder_name = str(self._meta["encoder"])
        self._index = _load_index(folder, connection, self._meta)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a library. Raises ``ReportError`` if it is missing, damaged or of another format."""
        if not (folder / DATABASE).is_file():
            raise ReportError(
                f"没有找到资料库“{folder}”，请先运行 python -m index --library 文件夹 add 文件。"
            )
        with _told(folder):
            connection = _connect(folder, writing=False)
            try:
                connection.execute("BEGIN")  # one snapshot for all that is read from here on
                _check_format(folder, connection)
                return cls(folder, connection)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Give the files back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of passages."""
        return int(self._rows("SELECT count(*) FROM passages")[0][0])

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise ``ReportError`` unless the library was made with this encoder."""
        _check_encoder(self.folder, self._meta, encoder)

    @property
    def probes(self) -> Vectors:
        """The vectors of the probe questions, float32 [n, dim], as stored by the encoder."""
        return _vectors([self._meta["probes"]], int(self._meta["dim"]))

    def entries(self) -> tuple[Entry, ...]:
        """Return the documents in the order they were added."""
        rows = self._rows(
            "SELECT document_id, count(*) FROM passages GROUP BY document_id ORDER BY document_id"
        )
        return tuple(Entry(id, self._document(id), count) for id, count in rows)

    def nearest(self, vectors: Vectors, limit: int) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """
        limit = min(limit, self._index.ntotal)
        if not limit:
            return [[] for _ in vectors]
        cosines, ids = self._index.search(np.ascontiguousarray(vectors), limit)
        return [
            sorted(
                ((int(i), float(c)) for i, c in zip(row, its, strict=True) if i >= 0),
                key=lambda found: (-found[1], found[0]),
            )
            for row, its in zip(ids, cosines, strict=True)
        ]

    def passages_of(self, segment_ids: Sequence[int]) -> list[int]:
        """Return the id of the passage of each segment."""
        found = dict(self._in("SELECT id, passage_id FROM segments WHERE id IN", segment_ids))
        return [found[id] for id in segment_ids]

    def lexical(self, terms: Sequence[str], *, among: Sequence[int]) -> dict[int, float]:
        """Return BM25 (k1 = 1.2, b = 0.75, as FTS5 has it) of these passages for these terms."""
        if not terms:
            return {}
        return {
            id: -score
            for id, score in self._in(
                "SELECT rowid, bm25(lexicon) FROM lexicon WHERE lexicon MATCH ? AND rowid IN",
                among,
                _any_of(terms),
            )
        }

    def lexical_best(self, terms: Sequence[str], limit: int) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""
        sql = "SELECT rowid FROM lexicon WHERE lexicon MATCH ? ORDER BY rank, rowid LIMIT ?"
        return [row[0] for row in self._rows(sql, (_any_of(terms), limit))] if terms else []

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """Return in how many passages each of the terms stands."""
        rows = self._in("SELECT term, doc FROM lexicon_terms WHERE term IN", terms)
        return {term: int(count) for term, count in rows}

    def matches(self, vector: Vectors, passage_ids: Sequence[int]) -> dict[int, list[Match]]:
        """Return every segment of the passages with its cosine to float32 [dim], in order."""
        rows = self._in(
            "SELECT passage_id, id, grain, start, end, vector FROM segments WHERE passage_id IN",
            passage_ids,
        )
        found: dict[int, list[Match]] = {id: [] for id in passage_ids}
        for id, _, grain, start, end, blob in rows:
            cosine = float(np.frombuffer(blob, np.float32) @ vector)
            found[id].append(Match(Segment(grain, start, end), cosine))
        return found

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""
        sql = (
            "SELECT p.id, p.document_id, p.number, p.spans, p.role, s.path, s.kind, s.start, s.end,"
            " s.run_in FROM passages p LEFT JOIN sections s ON s.id = p.section_id WHERE"
        )
        if document is not None:
            sub = " p.document_id = (SELECT id FROM documents WHERE sha256 = ?) ORDER BY p.number"
            rows = self._rows(sql + sub, (document,))
        else:
            rows = self._in(sql + " p.id IN", ids or ())
        segments = self._segments([row[0] for row in rows])
        return {row[0]: self._passage(row, segments[row[0]]) for row in rows}

    def _passage(self, row: tuple[Any, ...], segments: tuple[Segment, ...]) -> Passage:
        _, document_id, number, spans, role, path, kind, start, end, run_in = row
        section = path and Section(tuple(json.loads(path)), kind, (start, end), bool(run_in))
        places = tuple((a, b) for a, b in json.loads(spans))
        return Passage(
            self._document(document_id), number, places, role, section or None, segments
        )

    def _segments(self, passage_ids: Sequence[int]) -> dict[int, tuple[Segment, ...]]:
        found: dict[int, list[Segment]] = {id: [] for id in passage_ids}
        sql = "SELECT passage_id, id, grain, start, end FROM segments WHERE passage_id IN"
        for id, _, *segment in self._in(sql, passage_ids):
            found[id].append(Segment(*segment))
        return {id: tuple(segments) for id, segments in found.items()}

    def _document(self, id: int) -> Document:
        if id not in self._documents:
            row = self._rows(
                "SELECT name, text, sha256, title, issuer, doc_number, signer, addressee, date,"
                " year, fields FROM documents WHERE id = ?",
                (id,),
            )[0]
            *values, day, year, fields = row
            self._documents[id] = Document(
                *values,
                date=date.fromisoformat(day) if day else None,
                year=year,
                fields=tuple(
                    Field(role, tuple((a, b) for a, b in spans))
                    for role, spans in json.loads(fields)
                ),
            )
        return self._documents[id]

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _told(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    def _in(self, sql: str, values: Sequence[Any], *before: Any) -> list[tuple[Any, ...]]:
        """Run ``sql`` with ``IN (values)`` behind it, in the order of the first two columns."""
        marks = ",".join("?" * len(values))
        return sorted(self._rows(f"{sql} ({marks})", (*before, *values)), key=lambda row: row[:2])


def create(folder: Path, encoder: Encoder, probes: Sequence[str]) -> None:
    """Make an empty library for the vectors of this encoder, if there is none in the folder."""
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _writing(folder) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                return
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            _set_meta(
                connection,
                format=FORMAT,
                encoder=encoder.name,
                fingerprint=encoder.fingerprint,
                dim=encoder.dim,
                generation=0,
                probes=np.stack([encoder.encode_query(probe) for probe in probes]).tobytes(),
            )


def holds(folder: Path, sha256: str) -> bool:
    """Whether the library has a document of these bytes."""
    with _told(folder), _reading(folder) as connection:
        found = connection.execute("SELECT 1 FROM documents WHERE sha256 = ?", (sha256,))
        return found.fetchone() is not None


def write(
    folder: Path,
    document: Document,
    passages: Sequence[Passage],
    *,
    vectors: Vectors,
    terms: Sequence[Sequence[str]],
    encoder: Encoder,
) -> bool:
    """Add a document in one transaction; return False if its bytes are there already.

    ``vectors`` float32 [segments of all passages in order, dim], ``terms`` a list per passage.
    """
    with _told(folder), _writing(folder) as connection:
        _check_format(folder, connection)
        meta = _meta(connection)
        _check_encoder(folder, meta, encoder)
        known = "SELECT 1 FROM documents WHERE sha256 = ?"
        if connection.execute(known, (document.sha256,)).fetchone():
            return False
        _insert(connection, document, passages, vectors, terms)
        _set_meta(connection, generation=int(meta["generation"]) + 1)
    return True


def remove(folder: Path, id: int) -> Document:
    """Remove a document and return it. Raises ``ReportError`` if there is none of this id."""
    with Library.open(folder) as library:
        entry = next((entry for entry in library.entries() if entry.id == id), None)
    if entry is None:
        raise ReportError(
            f"资料库里没有编号为 {id} 的报告，请用 python -m index list 查看现有编号。"
        )
    with _told(folder), _writing(folder) as connection:
        ids = "SELECT id FROM passages WHERE document_id = ?"
        connection.execute(f"DELETE FROM lexicon WHERE rowid IN ({ids})", (id,))
        connection.execute("DELETE FROM documents WHERE id = ?", (id,))
        _set_meta(connection, generation=int(_meta(connection)["generation"]) + 1)
    publish(folder)
    return entry.document


def publish(folder: Path) -> None:
    """Write the FAISS index of the newest generation: temporary name, fsync, rename, hash."""
    with _told(folder), _writing(folder) as connection:
        _publish(folder, connection)


def generation(folder: Path) -> int:
    """Return the number of the newest generation, 0 where there is no library yet."""
    if not (folder / DATABASE).is_file():
        return 0
    with _told(folder), _reading(folder) as connection:
        return int(_meta(connection).get("generation", 0))


def verify(folder: Path) -> list[str]:
    """Check a library; return what is wrong with it, a Chinese sentence each."""
    import faiss

    wrong: list[str] = []
    with _told(folder), _reading(folder) as connection:
        _check_format(folder, connection)
        for (found,) in connection.execute("PRAGMA integrity_check"):
            if found != "ok":
                wrong.append(f"{DATABASE} 已损坏：{found}")
        for row in connection.execute("PRAGMA foreign_key_check"):
            wrong.append(f"{DATABASE} 里有悬空的引用：{row[0]} 第 {row[1]} 行")
        meta = _meta(connection)
        data = (folder / VECTORS).read_bytes() if (folder / VECTORS).is_file() else b""
        if hashlib.sha256(data).hexdigest() != meta.get("vectors_sha256"):
            return [*wrong, f"{VECTORS} 与数据库记录的校验值不符，下次打开时会自动重建"]
        stored = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        ids, vectors = _all_vectors(connection, int(meta["dim"]))
        kept = faiss.vector_to_array(stored.id_map)
        if not np.array_equal(kept, ids) or not np.array_equal(
            stored.index.reconstruct_n(0, stored.ntotal), vectors
        ):
            wrong.append(f"{VECTORS} 与数据库里的向量不一致")
    with Library.open(folder) as library:
        wrong.extend(_misplaced(library))
    return wrong


def _misplaced(library: Library) -> Iterator[str]:
    for entry in library.entries():
        length = len(entry.document.text)
        passages = library.passages(document=entry.document.sha256).values()
        for passage in passages:
            inside = all(0 <= a < b <= length for a, b in passage.spans)
            if not inside or any(s.end > len(passage.text) for s in passage.segments):
                yield f"《{entry.document.title or entry.document.name}》第{passage.number}段的位置超出原文"
        if sorted(p.number for p in passages) != list(range(1, entry.passages + 1)):
            yield f"《{entry.document.title or entry.document.name}》的段落编号不连续"


def _insert(
    connection: sqlite3.Connection,
    document: Document,
    passages: Sequence[Passage],
    vectors: Vectors,
    terms: Sequence[Sequence[str]],
) -> None:
    values = (
        document.name, document.text, document.sha256, document.title, document.issuer,
        document.doc_number, document.signer, document.addressee,
        document.date and document.date.isoformat(), document.year,
        json.dumps([tuple(asdict(field).values()) for field in document.fields]),
    )  # fmt: skip
    document_id = _insert_row(connection, "documents", None, *values)
    sections: dict[Section, int] = {}
    rows = iter(vectors)
    for passage, words in zip(passages, terms, strict=True):
        section = passage.section
        if section and section not in sections:
            path = json.dumps(section.path, ensure_ascii=False)
            sections[section] = _insert_row(
                connection, "sections", None, document_id, path, section.kind, *section.span,
                section.run_in,
            )  # fmt: skip
        passage_id = _insert_row(
            connection, "passages", None, document_id, passage.number, json.dumps(passage.spans),
            passage.role, sections[section] if section else None,
        )  # fmt: skip
        connection.execute(
            "INSERT INTO lexicon (rowid, terms) VALUES (?, ?)", (passage_id, " ".join(words))
        )
        for segment in passage.segments:
            _insert_row(
                connection, "segments", None, passage_id, segment.grain, segment.start,
                segment.end, next(rows).astype(np.float32).tobytes(),
            )  # fmt: skip


def _insert_row(connection: sqlite3.Connection, table: str, *values: Any) -> int:
    marks = ",".join("?" * len(values))
    return int(connection.execute(f"INSERT INTO {table} VALUES ({marks})", values).lastrowid or 0)


def _any_of(terms: Sequence[str]) -> str:
    return " OR ".join(f'"{term}"' for term in terms)


def _meta(connection: sqlite3.Connection) -> dict[str, Any]:
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _set_meta(connection: sqlite3.Connection, **values: Any) -> None:
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


def _vectors(blobs: Iterable[bytes], dim: int) -> Vectors:
    return np.frombuffer(b"".join(blobs), np.float32).reshape(-1, dim)


def _all_vectors(connection: sqlite3.Connection, dim: int) -> tuple[np.ndarray[Any, Any], Vectors]:
    rows = connection.execute("SELECT id, vector FROM segments ORDER BY id").fetchall()
    return np.array([row[0] for row in rows], np.int64), _vectors((row[1] for row in rows), dim)


def _build_index(connection: sqlite3.Connection, dim: int) -> Any:
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    ids, vectors = _all_vectors(connection, dim)
    if len(ids):
        index.add_with_ids(vectors, ids)
    return index


def _load_index(folder: Path, connection: sqlite3.Connection, meta: dict[str, Any]) -> Any:
    """Read the FAISS file if it is the one recorded, else build the index from the rows."""
    import faiss

    data = (folder / VECTORS).read_bytes() if (folder / VECTORS).is_file() else b""
    current = meta.get("vectors_generation") == meta["generation"]
    if current and hashlib.sha256(data).hexdigest() == meta.get("vectors_sha256"):
        return faiss.deserialize_index(np.frombuffer(data, np.uint8))
    return _build_index(connection, int(meta["dim"]))


def _publish(folder: Path, connection: sqlite3.Connection) -> None:
    import faiss

    meta = _meta(connection)
    data = faiss.serialize_index(_build_index(connection, int(meta["dim"]))).tobytes()
    temporary = folder / f"{VECTORS}.tmp"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / VECTORS)
    _set_meta(
        connection,
        vectors_generation=meta["generation"],
        vectors_sha256=hashlib.sha256(data).hexdigest(),
    )


def _connect(folder: Path, *, writing: bool) -> sqlite3.Connection:
    path = (folder / DATABASE).resolve()
    # A folder that cannot be written cannot hold the shared memory of a WAL either.
    mode = "rwc" if writing else "ro" if os.access(folder, os.W_OK) else "ro&immutable=1"
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=0 if writing else 5,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = _connect(folder, writing=False)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, alone: committed at the end, undone by any exception."""
    connection = _connect(folder, writing=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what the storage raises into a sentence for the user."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc) or "busy" in str(exc):
            raise ReportError(f"资料库“{folder}”正被另一个程序写入，请等它结束后再试。") from exc
        raise ReportError(
            f"不能读写资料库“{folder}”：{exc}，请检查磁盘空间和权限，或换一个文件夹。"
        ) from exc
    except sqlite3.DatabaseError as exc:
        raise ReportError(
            f"资料库文件“{folder / DATABASE}”已损坏（{exc}），请删除该文件夹后重新添加报告。"
        ) from exc
    except OSError as exc:
        raise ReportError(
            f"不能读写资料库“{folder}”：{exc.strerror or exc}，请检查路径、磁盘空间和权限。"
        ) from exc


def _check_format(folder: Path, connection: sqlite3.Connection) -> None:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    found = _meta(connection).get("format") if known else None
    if found != FORMAT:
        raise ReportError(
            f"资料库“{folder}”的格式是 {found}，本程序需要 {FORMAT}，"
            "请删除该文件夹后用 python -m index add 重新添加报告。"
        )


def _check_encoder(folder: Path, meta: dict[str, Any], encoder: Encoder) -> None:
    if meta["fingerprint"] != encoder.fingerprint:
        raise ReportError(
            f"资料库“{folder}”是用模型“{meta['encoder']}”建立的，与当前模型“{encoder.name}”的向量不能比较，"
            "请用 --library 另选文件夹重新添加报告，或改用原来的模型。"
        )
