"""Put reports into a library in a folder and take them out, each in one transaction."""

import contextlib
import hashlib
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from index import derived
from index.contract import Outcome, Prepared, check_model
from index.database import (
    DATABASE,
    FORMAT,
    SCHEMA,
    check_format,
    facts,
    made_by,
    newest,
    reading,
    set_facts,
    told,
    version_of,
    writing,
)
from index.encoder import Model, Vectors
from index.errors import ReportError
from index.seal import seal
from index.store import Library, text_sha256
from index.types import Document, Passage, Report, Section


class FolderWriter:
    """A ``Writer`` of the library in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def version(self) -> str | None:
        """Return what tells one state of one library from every other; None where nothing is yet."""
        return newest(self._folder)

    def create(self, model: Model, probes: Callable[[], Vectors]) -> None:
        """Make an empty library for the vectors of a model, if there is none in the folder.

        Raises ``ReportError`` if there is one of another format or model.
        """
        with told(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with writing(self._folder) as connection:
                known = facts(connection)
                if known:
                    check_format(self._folder, connection)
                    return check_model(self._folder, made_by(known), model)
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                set_facts(
                    connection,
                    format=FORMAT,
                    encoder=model.name,
                    fingerprint=model.fingerprint,
                    dim=model.dim,
                    generation=0,
                    library=uuid.uuid4().hex,
                    probes=probes().astype(np.float32).tobytes(),
                )

    def holds(self, sha256: str) -> bool:
        """Whether the library has a document of these bytes."""
        return self._first("SELECT 1 FROM documents WHERE sha256 = ?", sha256) is not None

    def holder(self, path: Path) -> str | None:
        """Return the sha256 of the document that the file of this path held; None if it is not known."""
        sql = "SELECT sha256 FROM documents d JOIN files f ON f.document_id = d.id WHERE path = ?"
        found = self._first(sql, str(path))
        return None if found is None else str(found)

    def _first(self, sql: str, value: str) -> Any:
        """Return the first value of a query; None where there is none, or no library yet."""
        with told(self._folder):
            if not (self._folder / DATABASE).is_file():
                return None
            with reading(self._folder) as connection:
                if not facts(connection):
                    return None
                check_format(self._folder, connection)
                row = connection.execute(sql, (value,)).fetchone()
                return row and row[0]

    def link(self, sha256: str, path: Path) -> Outcome | None:
        """Record that a file holds a document of the library; None if there is none of these bytes."""
        with told(self._folder), writing(self._folder) as connection:
            sql = "SELECT id FROM documents WHERE sha256 = ?"
            same = connection.execute(sql, (sha256,)).fetchone()
            return _point(connection, path, same[0]) if same else None

    def write(self, prepared: Prepared, *, path: Path | None, model: Model) -> Outcome:
        """Add a document in one transaction, in place of what the file at ``path`` held before."""
        document = prepared.document
        with told(self._folder), writing(self._folder) as connection:
            check_format(self._folder, connection)
            known = facts(connection)
            check_model(self._folder, made_by(known), model)
            sql = "SELECT id FROM documents WHERE sha256 = ?"
            found = connection.execute(sql, (document.sha256,)).fetchone()
            if found:
                return _point(connection, path, found[0]) if path else "未变"
            id = _insert(connection, prepared)
            set_facts(connection, generation=int(known["generation"]) + 1)
            return "更新" if path and _point(connection, path, id) == "更新" else "新增"

    def remove(self, id: int) -> Report:
        """Remove a document and return it. Raises ``ReportError`` if there is none of this id."""
        with Library.open(self._folder) as library:
            entry = next((entry for entry in library.entries() if entry.id == id), None)
        if entry is None:
            raise ReportError(
                f"资料库里没有编号为 {id} 的报告，请用 python -m index list 查看现有编号。"
            )
        with told(self._folder), writing(self._folder) as connection:
            _delete(connection, id)
        return entry.document

    def publish(self) -> None:
        """Write what is derived, where it is not of the newest generation, and seal the database.

        What is committed stays so if that fails: readers make them from the rows.
        """
        for write in (derived.publish, _probe, seal):
            with contextlib.suppress(ReportError), told(self._folder):
                if (self._folder / DATABASE).is_file():
                    write(self._folder)


def _probe(folder: Path) -> None:
    """Record how near the probe questions come to what the newest generation holds."""
    with reading(folder) as connection:
        known = facts(connection)
    if known.get("probed_at") == known.get("generation"):
        return
    if not derived.is_published(folder):  # another writer came in, and publishes its own
        return
    with Library.open(folder) as library:
        best = library.probed()
    with writing(folder) as connection:
        known = facts(connection)
        if version_of(known) == library.version:
            set_facts(connection, probed=best.tobytes(), probed_at=known["generation"])


def _insert(connection: sqlite3.Connection, prepared: Prepared) -> int:
    hashed = hashlib.sha256(prepared.vectors.astype(np.float32).tobytes()).hexdigest()
    id = _insert_document(connection, prepared.document, hashed)
    sections = {section: _insert_section(connection, id, section) for section in prepared.headings}
    vectors = iter(prepared.vectors)
    told = zip(prepared.passages, prepared.terms, prepared.digests, strict=True)
    for passage, words, digest in told:
        section = sections[passage.section] if passage.section else None
        _insert_passage(connection, id, section, passage, words, digest, vectors)
    return id


def _point(connection: sqlite3.Connection, path: Path, id: int) -> Outcome:
    """Let a file stand for a document; what it stood for goes, unless another file holds it."""
    before = connection.execute("SELECT document_id FROM files WHERE path = ?", (str(path),))
    old = before.fetchone()
    connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (str(path), id))
    if old is None or old[0] == id:
        return "未变"
    others = connection.execute("SELECT 1 FROM files WHERE document_id = ?", (old[0],))
    if others.fetchone() is None:
        _delete(connection, old[0])
    return "更新"


def _delete(connection: sqlite3.Connection, id: int) -> None:
    ids = "SELECT id FROM passages WHERE document_id = ?"
    connection.execute(f"DELETE FROM lexicon WHERE rowid IN ({ids})", (id,))
    connection.execute("DELETE FROM documents WHERE id = ?", (id,))
    set_facts(connection, generation=int(facts(connection)["generation"]) + 1)


def _insert_document(
    connection: sqlite3.Connection, document: Document, vectors_sha256: str
) -> int:
    fields = json.dumps([(field.role, field.spans) for field in document.fields])
    return _insert_row(
        connection, "documents", None, document.name, document.text, document.sha256,
        text_sha256(document.text), vectors_sha256, document.title, document.issuer, document.doc_number, document.signer, document.addressee,
        document.date and document.date.isoformat(), document.year, fields,
        json.dumps(document.furniture), json.dumps(document.pages),
    )  # fmt: skip


def _insert_section(connection: sqlite3.Connection, document_id: int, section: Section) -> int:
    path = json.dumps(section.path, ensure_ascii=False)
    return _insert_row(
        connection, "sections", None, document_id, path, section.kind, *section.span,
        section.run_in,
    )  # fmt: skip


def _insert_passage(
    connection: sqlite3.Connection,
    document_id: int,
    section_id: int | None,
    passage: Passage,
    terms: Sequence[str],
    digest: bytes,
    vectors: Iterator[Vectors],
) -> None:
    id = _insert_row(
        connection, "passages", None, document_id, passage.number, json.dumps(passage.spans),
        passage.role, section_id, passage.kind, json.dumps(passage.header), digest,
    )  # fmt: skip
    connection.execute("INSERT INTO lexicon (rowid, terms) VALUES (?, ?)", (id, " ".join(terms)))
    for segment in passage.segments:
        _insert_row(
            connection, "segments", None, id, segment.grain, segment.start, segment.end,
            next(vectors).astype(np.float32).tobytes(),
        )  # fmt: skip


def _insert_row(connection: sqlite3.Connection, table: str, *values: Any) -> int:
    marks = ",".join("?" * len(values))
    return int(connection.execute(f"INSERT INTO {table} VALUES ({marks})", values).lastrowid or 0)
