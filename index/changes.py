"""Put reports into a library and take them out, each in one transaction."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from index.database import (
    DATABASE,
    FORMAT,
    SCHEMA,
    check_format,
    facts,
    reading,
    set_facts,
    told,
    writing,
)
from index.encoder import Encoder, Vectors
from index.errors import ReportError
from index.store import Library, check_encoder
from index.types import Document, Passage, Section
from index.vectors import publish


def create(folder: Path, encoder: Encoder, probes: Sequence[str]) -> None:
    """Make an empty library for the vectors of this encoder, if there is none in the folder."""
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with writing(folder) as connection:
            if facts(connection):
                return
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            set_facts(
                connection,
                format=FORMAT,
                encoder=encoder.name,
                fingerprint=encoder.fingerprint,
                dim=encoder.dim,
                generation=0,
                probes=np.stack([encoder.encode_query(probe) for probe in probes]).tobytes(),
            )


def generation(folder: Path) -> int:
    """Return the number of the newest generation, 0 where there is no library yet."""
    with told(folder):
        if not (folder / DATABASE).is_file():
            return 0
        with reading(folder) as connection:
            return int(facts(connection).get("generation", 0))


def holds(folder: Path, sha256: str) -> bool:
    """Whether the library has a document of these bytes."""
    with told(folder), reading(folder) as connection:
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
    with told(folder), writing(folder) as connection:
        check_format(folder, connection)
        known = facts(connection)
        check_encoder(folder, known, encoder)
        same = connection.execute("SELECT 1 FROM documents WHERE sha256 = ?", (document.sha256,))
        if same.fetchone():
            return False
        _insert(connection, document, passages, vectors, terms)
        set_facts(connection, generation=int(known["generation"]) + 1)
    return True


def remove(folder: Path, id: int) -> Document:
    """Remove a document and return it. Raises ``ReportError`` if there is none of this id."""
    with Library.open(folder) as library:
        entry = next((entry for entry in library.entries() if entry.id == id), None)
    if entry is None:
        raise ReportError(
            f"资料库里没有编号为 {id} 的报告，请用 python -m index list 查看现有编号。"
        )
    with told(folder), writing(folder) as connection:
        ids = "SELECT id FROM passages WHERE document_id = ?"
        connection.execute(f"DELETE FROM lexicon WHERE rowid IN ({ids})", (id,))
        connection.execute("DELETE FROM documents WHERE id = ?", (id,))
        set_facts(connection, generation=int(facts(connection)["generation"]) + 1)
    publish(folder)
    return entry.document


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
