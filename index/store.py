"""A library opened for reading: SQLite holds the truth, the FAISS index is derived from it."""

import hashlib
import json
import sqlite3
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np

from index import seal, vectors
from index.database import DATABASE, check_format, connect, facts, told, version_of
from index.encoder import Encoder, Vectors
from index.errors import ReportError
from index.types import Document, Field, Kind, Passage, Section, Segment, Span


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


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a library: SQL that selects the ids of its passages, and the values in it."""

    sql: str
    values: tuple[Any, ...]


class Library:
    """A library at the generation that it opened, whatever is written meanwhile. Thread-safe."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        weakref.finalize(self, connection.close)  # a library that search replaces is not closed
        self._lock = threading.Lock()
        self._documents: dict[int, Document] = {}
        self._facts = facts(connection)
        self.version = version_of(self._facts)
        self.encoder_name = str(self._facts["encoder"])
        self._index = vectors.load(folder, connection, self._facts)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a library. Raises ``ReportError`` if it is missing, damaged or of another format."""
        with told(folder):
            if not (folder / DATABASE).is_file():
                raise ReportError(
                    f"没有找到资料库“{folder}”，请先运行 python -m index --library 文件夹 add 文件。"
                )
            connection = connect(folder, writing=False)
            try:
                connection.execute("BEGIN")  # one snapshot for all that is read from here on
                check_format(folder, connection)
                seal.check(folder, version_of(facts(connection)))
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
        with told(self.folder):
            check_encoder(self.folder, self._facts, encoder)

    @property
    def probes(self) -> Vectors:
        """The vectors of the probe questions, float32 [n, dim], as stored by the encoder."""
        with told(self.folder):
            return vectors.unpack([self._facts["probes"]], int(self._facts["dim"]))

    def entries(self) -> tuple[Entry, ...]:
        """Return the documents in the order they were added."""
        rows = self._rows(
            "SELECT d.id, count(p.id) FROM documents d LEFT JOIN passages p ON p.document_id = d.id"
            " GROUP BY d.id ORDER BY d.id"
        )
        return tuple(Entry(id, self._document(id), count) for id, count in rows)

    def headings(self, document: str) -> tuple[Section, ...]:
        """Return the sections of the document with this sha256 in order, run-in ones too."""
        rows = self._rows(
            "SELECT path, kind, start, end, run_in FROM sections WHERE document_id ="
            " (SELECT id FROM documents WHERE sha256 = ?) ORDER BY start",
            (document,),
        )
        with told(self.folder):
            return tuple(_section(*row) for row in rows)

    def scope(
        self, documents: Sequence[int] | None = None, kinds: Sequence[Kind] | None = None
    ) -> Scope:
        """Return what part of the library to search: these documents, by id, and kinds."""
        wheres, values = [], list[Any]()
        for column, chosen in (("document_id", documents), ("kind", kinds)):
            if chosen is not None:
                wheres.append(f"{column} IN ({','.join('?' * len(chosen))})")
                values += chosen
        sql = f"SELECT id FROM passages WHERE {' AND '.join(wheres) or '1'}"
        return Scope(sql, tuple(values))

    def nearest(
        self, questions: Vectors, limit: int, scope: Scope | None = None
    ) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """
        among = None
        if scope:
            sql = f"SELECT id FROM segments WHERE passage_id IN ({scope.sql})"
            among = np.array([row[0] for row in self._rows(sql, scope.values)], np.int64)
        return vectors.nearest(self._index, questions, limit, among)

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

    def holds_all(self, terms: Sequence[str], scope: Scope | None = None) -> bool:
        """Whether one passage holds all of the terms."""
        sql = f"SELECT 1 FROM lexicon WHERE lexicon MATCH ?{_within(scope)} LIMIT 1"
        values = (" AND ".join(map(_quoted, terms)), *(scope.values if scope else ()))
        return bool(terms) and bool(self._rows(sql, values))

    def lexical_best(
        self, terms: Sequence[str], limit: int, scope: Scope | None = None
    ) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""
        sql = f"SELECT rowid FROM lexicon WHERE lexicon MATCH ?{_within(scope)} ORDER BY rank, rowid LIMIT ?"
        values = (_any_of(terms), *(scope.values if scope else ()), limit)
        return [row[0] for row in self._rows(sql, values)] if terms else []

    def documents_of(self, passage_ids: Sequence[int]) -> dict[int, int]:
        """Return the id of the document of each passage."""
        rows = self._in("SELECT id, document_id FROM passages WHERE id IN", passage_ids)
        return dict(rows)

    def digests(self, passage_ids: Sequence[int]) -> dict[int, bytes]:
        """Return what is the same for passages that say the same."""
        return dict(self._in("SELECT id, digest FROM passages WHERE id IN", passage_ids))

    def copies(self, digests: Sequence[bytes], scope: Scope | None = None) -> dict[int, bytes]:
        """Return all passages with one of these digests by id, in the order of the library."""
        within = f"id IN ({scope.sql}) AND " if scope else ""
        sql = f"SELECT id, digest FROM passages WHERE {within}digest IN"
        return dict(self._in(sql, digests, *(scope.values if scope else ())))

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
        with told(self.folder):
            cosines = vectors.unpack((row[-1] for row in rows), len(vector)) @ vector
        for (id, _, grain, start, end, _), cosine in zip(rows, cosines, strict=True):
            found[id].append(Match(Segment(grain, start, end), float(cosine)))
        return found

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""
        sql = (
            "SELECT p.id, p.document_id, p.number, p.spans, p.role, s.path, s.kind, s.start, s.end,"
            " s.run_in, p.kind, p.header FROM passages p LEFT JOIN sections s ON s.id = p.section_id WHERE"
        )
        if document is not None:
            sub = " p.document_id = (SELECT id FROM documents WHERE sha256 = ?) ORDER BY p.number"
            rows = self._rows(sql + sub, (document,))
        else:
            rows = self._in(sql + " p.id IN", ids or ())
        segments = self._segments([row[0] for row in rows])
        with told(self.folder):
            return {row[0]: self._passage(row, segments[row[0]]) for row in rows}

    def _passage(self, row: tuple[Any, ...], segments: tuple[Segment, ...]) -> Passage:
        _, document_id, number, spans, role, *heading, kind, header = row
        section = _section(*heading) if heading[0] else None
        return Passage(
            self._document(document_id),
            number,
            _spans(spans),
            role,
            section,
            kind,
            segments,
            _spans(header),
        )

    def _segments(self, passage_ids: Sequence[int]) -> dict[int, tuple[Segment, ...]]:
        found: dict[int, list[Segment]] = {id: [] for id in passage_ids}
        sql = "SELECT passage_id, id, grain, start, end FROM segments WHERE passage_id IN"
        for id, _, *segment in self._in(sql, passage_ids):
            found[id].append(Segment(*segment))
        return {id: tuple(segments) for id, segments in found.items()}

    def _document(self, id: int) -> Document:
        if id not in self._documents:
            sql = (
                "SELECT text_sha256, name, text, sha256, title, issuer, doc_number, signer, addressee, date,"
                " year, fields, furniture, pages FROM documents WHERE id = ?"
            )
            with told(self.folder):
                hashed, *row = self._rows(sql, (id,))[0]
                document = _to_document(*row)
                if text_sha256(document.text) != hashed:
                    raise ValueError("the text is not the one that was added")
            self._documents[id] = document
        return self._documents[id]

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, told(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    def _in(self, sql: str, values: Sequence[Any], *before: Any) -> list[tuple[Any, ...]]:
        """Run ``sql`` with ``IN (values)`` behind it, in the order of the first two columns."""
        marks = ",".join("?" * len(values))
        return sorted(self._rows(f"{sql} ({marks})", (*before, *values)), key=lambda row: row[:2])


def check_encoder(folder: Path, known: dict[str, Any], encoder: Encoder) -> None:
    """Raise ``ReportError`` unless the library was made with this encoder."""
    if known["fingerprint"] == encoder.fingerprint:
        return
    if known["encoder"] == encoder.name:
        raise ReportError(
            f"资料库“{folder}”是用模型“{encoder.name}”的另一个版本建立的，向量不能比较，"
            "请删去这个文件夹（或用 --library 另选一个）重新添加报告。"
        )
    raise ReportError(
        f"资料库“{folder}”是用模型“{known['encoder']}”建立的，与当前模型“{encoder.name}”的向量不能比较，"
        "请用 --library 另选文件夹重新添加报告，或改用原来的模型。"
    )


def text_sha256(text: str) -> str:
    """Return the hash by which a stored text is known to be unchanged."""
    return hashlib.sha256(text.encode()).hexdigest()


def _to_document(
    name: str, text: str, sha256: str, title: str | None, issuer: str | None,
    doc_number: str | None, signer: str | None, addressee: str | None, day: str | None,
    year: int | None, fields: str, furniture: str, pages: str,
) -> Document:  # fmt: skip
    places = ((role, tuple((a, b) for a, b in spans)) for role, spans in json.loads(fields))
    return Document(
        name, text, sha256, title, issuer, doc_number, signer, addressee,
        date.fromisoformat(day) if day else None, year, tuple(Field(*place) for place in places),
        _spans(furniture), tuple(json.loads(pages)),
    )  # fmt: skip


def _spans(stored: str) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in json.loads(stored))


def _within(scope: Scope | None) -> str:
    return f" AND rowid IN ({scope.sql})" if scope else ""


def _section(path: str, kind: Kind, start: int, end: int, run_in: int) -> Section:
    return Section(tuple(json.loads(path)), kind, (start, end), bool(run_in))


def _any_of(terms: Sequence[str]) -> str:
    return " OR ".join(map(_quoted, terms))


def _quoted(term: str) -> str:
    return f'"{term}"'
