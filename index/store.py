"""A library opened for reading: SQLite holds the truth, the FAISS index is derived from it."""

import hashlib
import itertools
import json
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from index import derived, seal
from index.columns import Mask, Positions, Scope, unpack
from index.contract import Candidates, Entry, ask_probes
from index.database import (
    DATABASE,
    check_format,
    connect,
    facts,
    made_by,
    newest,
    told,
    traces,
    version_of,
)
from index.encoder import Vectors
from index.errors import ReportError
from index.types import Document, Field, Kind, Passage, Report, Section, Segment, Span
from index.vectors import FLAT


class Library:
    """A library at the generation that it opened, whatever is written meanwhile. Thread-safe."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        weakref.finalize(self, connection.close)  # a library that search replaces is not closed
        self._lock = threading.Lock()
        self._documents: dict[int, Document] = {}
        self._held: dict[int, Passage] = {}
        self._traces: object = None
        self._facts = facts(connection)
        self.version = version_of(self._facts)
        self.model = made_by(self._facts)
        self._index = derived.load_index(folder, connection, self._facts)
        self._columns = derived.load_columns(folder, connection, self._facts)
        # A question asks for its rarities, for BM25, and for BM25 again where it names a report.
        self._postings_of = lru_cache(64)(self._columns.postings_of)
        if len(self._index) != len(self._columns.segments):
            raise LookupError("the segments of a passage are not whole")

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
        return len(self._columns.passages)

    def is_newest(self) -> bool:
        """Whether nothing was added or removed since.

        The database is asked, which takes 0.9 ms, unless it is sealed and its files are as they were:
        what is being written may be in the files before it can be read, but then the seal is away.
        """
        with told(self.folder):
            found = traces(self.folder)
        if found == self._traces:
            return True
        same = newest(self.folder) == self.version
        self._traces = found if same and found[-1] else None
        return same

    @property
    def probes(self) -> Vectors:
        """The vectors of the probe questions, float32 [n, dim], as stored by the encoder."""
        with told(self.folder):
            return unpack([self._facts["probes"]], int(self._facts["dim"]))

    def probed(self) -> Vectors:
        """Return how near each probe question comes to anything: cosines float32 [n].

        As recorded when the generation was published; asked anew in a library of a release before
        and after a crash, which takes 2 s where there are a million segments.
        """
        if self._facts.get("probed_at") == self._facts["generation"]:
            with told(self.folder):
                return np.frombuffer(self._facts["probed"], np.float32)
        return ask_probes(self)

    def entries(self) -> tuple[Entry, ...]:
        """Return the reports in the order they were added."""
        rows = self._rows(
            f"SELECT d.id, {_REPORT}, (SELECT count(*) FROM passages WHERE document_id = d.id),"
            " json_array_length(pages), (SELECT json_group_array(path) FROM"
            " (SELECT path FROM files WHERE document_id = d.id ORDER BY path)), (SELECT"
            " json_group_array(heading) FROM (SELECT path ->> 0 AS heading FROM sections WHERE"
            " document_id = d.id AND json_array_length(path) = 1 ORDER BY start)) FROM documents d ORDER BY id"
        )
        with told(self.folder):
            return tuple(
                Entry(
                    id,
                    Report(**_report(*known)),
                    passages,
                    pages,
                    tuple(json.loads(paths)),
                    tuple(json.loads(headings)),
                )
                for id, *known, passages, pages, paths, headings in rows
            )

    def document(self, id: int) -> Document:
        """Return a report with its text. Raises ``ReportError`` if that is not what was added."""
        if id not in self._documents:
            sql = f"SELECT text_sha256, {_REPORT}, text, fields, furniture, pages FROM documents WHERE id = ?"
            with told(self.folder):
                hashed, *row, text, fields, furniture, pages = self._rows(sql, (id,))[0]
                if text_sha256(text) != hashed:
                    raise ValueError("the text is not the one that was added")
                self._documents[id] = Document(
                    **_report(*row),
                    text=text,
                    fields=_fields(fields),
                    furniture=_spans(furniture),
                    pages=tuple(json.loads(pages)),
                )
        return self._documents[id]

    def headings(self, document: str) -> tuple[Section, ...]:
        """Return the sections of the document with this sha256 in order, run-in ones too."""
        rows = self._rows(
            "SELECT path, kind, start, end, run_in FROM sections WHERE document_id ="
            " (SELECT id FROM documents WHERE sha256 = ?) ORDER BY start",
            (document,),
        )
        with told(self.folder):
            return tuple(_section(*row) for row in rows)

    def vectors(self, id: int) -> Vectors:
        """Return the vectors of the segments of a document in order, float32 [n, dim]."""
        sql = (
            "SELECT s.vector FROM segments s JOIN passages p ON p.id = s.passage_id"
            " WHERE p.document_id = ? ORDER BY s.id"
        )
        rows = self._rows(sql, (id,))
        with told(self.folder):
            return unpack((blob for (blob,) in rows), self.model.dim)

    def candidates(
        self,
        vector: Vectors,
        terms: Sequence[str],
        *,
        near: int,
        lexical: int,
        scope: Scope | None = None,
    ) -> Candidates:
        """Return the passages of the segments nearest to float32 [dim] and the best by BM25.

        So many of each at most, both with both scores, in the order of the library.
        """
        with self._scanning():
            return self._candidates(vector, terms, near, lexical, scope)

    def _candidates(
        self, vector: Vectors, terms: Sequence[str], near: int, lexical: int, scope: Scope | None
    ) -> Candidates:
        columns = self._columns
        mask = columns.within(scope)
        bm25 = columns.bm25(self._postings_of(tuple(terms)))
        nearest, theirs = self._near(vector[None], near, mask)[0]
        others, _ = columns.segments_of(_best(bm25, lexical, _matching(bm25, mask)))
        found = np.concatenate([nearest, others])
        order = np.argsort(found)
        cosines = np.concatenate([theirs, columns.cosines(vector, others)])[order]
        owners = columns.owners[found[order]]  # ascending, as the segments are
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        places = owners[first]
        return Candidates(
            columns.passages[places],
            columns.documents[places],
            columns.said(places),
            np.maximum.reduceat(cosines, first) if len(first) else cosines,
            bm25[places],
        )

    def nearest(
        self, questions: Vectors, limit: int, scope: Scope | None = None
    ) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """
        with self._scanning():
            found = self._near(questions, limit, self._columns.within(scope))
        ids = self._columns.segments
        return [
            list(zip(ids[places].tolist(), near.tolist(), strict=True)) for places, near in found
        ]

    def holds_all(self, terms: Sequence[str], scope: Scope | None = None) -> bool:
        """Whether one passage holds all of the terms."""
        found = self._columns.holding(self._postings_of(tuple(terms)))
        mask = self._columns.within(scope)
        return bool(len(found) if mask is None else mask[found].any())

    def lexical_best(
        self, terms: Sequence[str], limit: int, scope: Scope | None = None
    ) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""
        bm25 = self._columns.bm25(self._postings_of(tuple(terms)))
        best = _best(bm25, limit, _matching(bm25, self._columns.within(scope)))
        return [int(id) for id in self._columns.passages[best]]

    def rarities(self, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each term, above 0: see ``Columns.bm25``."""
        postings = self._postings_of(tuple(terms))
        return {t: self._columns.rarity(each) for t, each in zip(terms, postings, strict=True)}

    @contextmanager
    def _scanning(self) -> Iterator[None]:
        """Turn what a large file damaged in its middle leads to into a sentence."""
        try:
            yield
        except (RuntimeError, LookupError, ValueError) as exc:
            named = "、".join(derived.FILES)
            raise ReportError(
                f"资料库“{self.folder}”里的 {named} 已损坏，请删除这两个文件后重试，它们会重新生成。"
            ) from exc

    def _near(
        self, questions: Vectors, limit: int, mask: Mask | None
    ) -> list[tuple[Positions, Vectors]]:
        """Return the places of the segments nearest to each row of float32 [n, dim].

        With their cosines, best first, ties by place. All are measured where few are inside.
        """
        few = None if mask is None else self._few(mask)
        rough: Iterable[Positions]
        if few is not None:
            rough = [few] * len(questions)
        else:
            among = None if mask is None else mask[self._columns.owners]
            rough = self._index.nearest(questions, limit, among)
        found = []
        for vector, places in zip(questions, rough, strict=True):
            places = np.sort(places[places >= 0])
            cosines = self._columns.cosines(vector, places)
            best = _best(cosines, limit, np.arange(len(places)))
            found.append((places[best], cosines[best]))
        return found

    def _few(self, mask: Mask) -> Positions | None:
        """Return the places of the segments of a part of the library.

        None if the segments, or the passages already, are more than ``FLAT``.
        """
        places = np.flatnonzero(mask)
        if len(places) > FLAT:
            return None
        found, _ = self._columns.segments_of(places)
        return found if len(found) <= FLAT else None

    def copies(self, digests: Sequence[bytes], scope: Scope | None = None) -> dict[int, bytes]:
        """Return all passages with one of these digests by id, in the order of the library."""
        marks = ",".join("?" * len(digests))
        sql = f"SELECT id, digest FROM passages WHERE digest IN ({marks}) ORDER BY id"
        found = self._rows(sql, digests)
        mask = self._columns.within(scope)
        if mask is None:
            return dict(found)
        places = np.searchsorted(self._columns.passages, [id for id, _ in found])
        return {
            id: digest for (id, digest), inside in zip(found, mask[places], strict=True) if inside
        }

    def cosines(self, vector: Vectors, passage_ids: Sequence[int]) -> dict[int, Vectors]:
        """Return how near the segments of passages are to float32 [dim], in their order."""
        if not len(passage_ids):
            return {}
        ids = np.array(sorted(set(passage_ids)), np.int64)
        with self._scanning():
            places = np.searchsorted(self._columns.passages, ids)
            segments, ends = self._columns.segments_of(places)
            cosines = self._columns.cosines(vector, segments)
            parts = [cosines[a:b] for a, b in itertools.pairwise([0, *ends.tolist()])]
            return dict(zip(ids.tolist(), parts, strict=True))

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""
        if document is not None:
            sub = " p.document_id = (SELECT id FROM documents WHERE sha256 = ?) ORDER BY p.number"
            return self._made(self._rows(_PASSAGES + sub, (document,)))
        wanted = list(dict.fromkeys(ids or ()))
        with self._lock:
            found = {id: self._held.pop(id) for id in wanted if id in self._held}
            self._held |= found  # the last asked for are at the end
        if others := [id for id in wanted if id not in found]:
            new = self._made(self._in(_PASSAGES + " p.id IN", others))
            found |= new
            with self._lock:
                self._held |= new
                for id in list(itertools.islice(self._held, max(0, len(self._held) - _HELD))):
                    del self._held[id]
        return dict(sorted(found.items()))

    def _made(self, rows: Sequence[tuple[Any, ...]]) -> dict[int, Passage]:
        """Return the passages of some rows by id."""
        with self._scanning():
            places = np.searchsorted(self._columns.passages, [row[0] for row in rows])
            segments = self._columns.segments_in(places)
        with told(self.folder):
            return {
                row[0]: self._passage(row[1:], parts)
                for row, parts in zip(rows, segments, strict=True)
            }

    def _passage(self, row: tuple[Any, ...], segments: tuple[Segment, ...]) -> Passage:
        document_id, number, spans, role, *heading, kind, header = row
        section = _section(*heading) if heading[0] else None
        return Passage(
            self.document(document_id),
            number,
            _spans(spans),
            role,
            section,
            kind,
            segments,
            _spans(header),
        )

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, told(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    def _in(self, sql: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Run ``sql`` with ``IN (ids)`` behind it, in the order of the first two columns."""
        if not len(ids):
            return []
        listed = json.dumps([int(id) for id in ids])  # one parameter: reading many takes longer
        rows = self._rows(f"{sql} (SELECT value FROM json_each(?))", (listed,))
        return sorted(rows, key=lambda row: row[:2])


def text_sha256(text: str) -> str:
    """Return the hash by which a stored text is known to be unchanged."""
    return hashlib.sha256(text.encode()).hexdigest()


_HELD = 1_000
"""Passages kept, those asked for last, 5 KB each: the questions of one asker come to the same few
reports again and again."""

_PASSAGES = (
    "SELECT p.id, p.document_id, p.number, p.spans, p.role, s.path, s.kind, s.start, s.end, s.run_in,"
    " p.kind, p.header FROM passages p LEFT JOIN sections s ON s.id = p.section_id WHERE"
)

_REPORT = "name, sha256, title, issuer, doc_number, signer, addressee, date, year"


def _report(*row: Any) -> dict[str, Any]:
    """Return the fields of a ``Report`` from their columns."""
    known = dict(zip(_REPORT.split(", "), row, strict=True))
    return known | {"date": known["date"] and date.fromisoformat(known["date"])}


def _fields(stored: str) -> tuple[Field, ...]:
    return tuple(Field(role, tuple((a, b) for a, b in spans)) for role, spans in json.loads(stored))


def _spans(stored: str) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in json.loads(stored))


def _section(path: str, kind: Kind, start: int, end: int, run_in: int) -> Section:
    return Section(tuple(json.loads(path)), kind, (start, end), bool(run_in))


def _matching(bm25: npt.NDArray[np.float64], mask: Mask | None) -> Positions:
    return np.flatnonzero(bm25 > 0 if mask is None else (bm25 > 0) & mask)


def _best(scores: npt.NDArray[np.floating], limit: int, among: Positions) -> Positions:
    """Return the places ``among`` which the scores are best, at most ``limit``, ties by place."""
    if len(among) > limit:
        least = np.partition(scores[among], -limit)[-limit]
        among = among[scores[among] >= least]  # ties at the end stay, until they are in order
    order = np.argsort(-scores[among], kind="stable")[:limit]
    return among[order]
