"""Put reports into a library in Milvus and take them out.

A report is in the library as long as its row stands in ``documents``, which is written last and
deleted first: there are no transactions. One that is cut off on its way is noted as pending, and
swept away by whoever writes next. One writer at a time, as with a folder, but nothing keeps a second
one out.
"""

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from index.contract import Outcome, Prepared, check_model
from index.encoder import Model, Vectors
from index.errors import ReportError
from index.milvus.reader import MilvusLibrary
from index.milvus.record import PART, PLACES, as_json, fitting, pack, word
from index.milvus.server import (
    FORMAT,
    NO_VECTOR,
    Address,
    connect,
    erase,
    fetch,
    full_name,
    in_batches,
    load_facts,
    made_by,
    make_collections,
    quoted,
    set_facts,
    told,
    version_of,
)
from index.types import Report

_EPOCH = 1_700_000_000_000
"""Milliseconds. An id of a document has 40 bits of time, until 2058, and 3 of chance."""

_TERMS = 4_600
"""Terms of a passage: 65,535 bytes. Those of the 4,600th character and on are left out."""


class MilvusWriter:
    """A ``Writer`` of a library in Milvus."""

    def __init__(self, address: Address) -> None:
        self._at = address

    def version(self) -> str | None:
        """Return what tells one state of one library from every other; None where nothing is yet."""
        with told(self._at):
            known = load_facts(self._at)
            return version_of(known) if "generation" in known else None

    def create(self, model: Model, probes: Callable[[], Vectors]) -> None:
        """Make an empty library for the vectors of a model, if there is none of this name.

        Raises ``ReportError`` if there is one of another format or model.
        """
        with told(self._at):
            known = load_facts(self._at)
            if known:
                return check_model(self._at, made_by(self._at, known), model)
            make_collections(self._at, model.dim)
            rows = [{"id": n, "vector": v.tolist()} for n, v in enumerate(probes())]
            connect(self._at).upsert(full_name(self._at, "probes"), rows)
            set_facts(
                self._at,
                format=FORMAT,
                encoder=model.name,
                fingerprint=model.fingerprint,
                dim=model.dim,
                library=uuid.uuid4().hex,
            )

    def holds(self, sha256: str) -> bool:
        """Whether the library has a document of these bytes."""
        with told(self._at):
            wanted = f"key == {quoted(sha256)}"
            return bool(load_facts(self._at) and fetch(self._at, "documents", wanted, "id"))

    def holder(self, path: Path) -> str | None:
        """Return the sha256 of the document that the file of this path held; None if it is not known."""
        with told(self._at):
            if not load_facts(self._at):
                return None
            rows = fetch(self._at, "files", f"key == {quoted(_key(path))}", "document")
            return str(rows[0]["document"]) if rows else None

    def link(self, sha256: str, path: Path) -> Outcome | None:
        """Record that a file holds a document of the library; None if there is none of these bytes."""
        with told(self._at):
            return self._point(path, sha256) if self.holds(sha256) else None

    def write(self, prepared: Prepared, *, path: Path | None, model: Model) -> Outcome:
        """Add a document, in place of what the file at ``path`` held before."""
        sha256 = prepared.document.sha256
        with told(self._at):
            check_model(self._at, made_by(self._at, load_facts(self._at)), model)
            if self.holds(sha256):
                return self._point(path, sha256) if path else "未变"
            self._sweep()
            milliseconds = time.time_ns() // 1_000_000 - _EPOCH
            id = milliseconds << 3 | secrets.randbelow(8)
            set_facts(self._at, pending=id)
            _insert(self._at, id, prepared)
            self._changed()
            return "更新" if path and self._point(path, sha256) == "更新" else "新增"

    def remove(self, id: int) -> Report:
        """Remove a document and return it. Raises ``ReportError`` if there is none of this id."""
        with MilvusLibrary.open(self._at) as library:
            entry = next((entry for entry in library.entries() if entry.id == id), None)
        if entry is None:
            raise ReportError(
                f"资料库里没有编号为 {id} 的报告，请用 python -m index list 查看现有编号。"
            )
        with told(self._at):
            self._delete(entry.document.sha256)
        return entry.document

    def publish(self) -> None:
        """Do nothing: Milvus keeps its indexes itself."""

    def _point(self, path: Path, sha256: str) -> Outcome:
        """Let a file stand for a document; what it stood for goes, unless another file holds it."""
        before = self.holder(path)
        row = {"key": _key(path), "path": str(path), "document": sha256, "none": NO_VECTOR}
        connect(self._at).upsert(full_name(self._at, "files"), [row])
        if before in (None, sha256):
            return "未变"
        if not fetch(self._at, "files", f"document == {quoted(before)}", "key"):
            self._delete(before)
        return "更新"

    def _delete(self, sha256: str) -> None:
        self._sweep()
        wanted = f"key == {quoted(sha256)}"
        for row in fetch(self._at, "documents", wanted, "id"):
            set_facts(self._at, pending=row["id"])
            erase(self._at, "files", f"document == {quoted(sha256)}")
            erase(self._at, "documents", wanted)
            self._changed(pending=row["id"])
            self._sweep()

    def _sweep(self) -> None:
        """Delete the rows of a document that was cut off while it came or went."""
        pending = load_facts(self._at).get("pending")
        if pending is None:
            return
        if not fetch(self._at, "documents", f"id == {pending}", "key"):
            for collection in ("passages", "segments", "records"):
                erase(self._at, collection, f"document == {pending}")
        set_facts(self._at, pending=None)

    def _changed(self, *, pending: int | None = None) -> None:
        set_facts(self._at, generation=uuid.uuid4().hex, pending=pending)


def _insert(address: Address, id: int, prepared: Prepared) -> None:
    client, document = connect(address), prepared.document

    def put(collection: str, rows: Iterable[dict[str, Any]]) -> None:
        for batch in in_batches(list(rows)):
            client.insert(full_name(address, collection), batch)

    record = pack(prepared)
    parts = [record[start : start + PART] for start in range(0, len(record), PART)]
    put(
        "records",
        (
            {"id": id << PLACES | n, "document": id, "text": part, "none": NO_VECTOR}
            for n, part in enumerate(parts)
        ),
    )
    told = zip(prepared.passages, prepared.terms, prepared.digests, strict=True)
    put(
        "passages",
        (
            {"id": id << PLACES | p.number, "document": id, "kind": p.kind,
             "digest": digest.hex(), "terms": " ".join(map(word, terms[:_TERMS]))}
            for p, terms, digest in told
        ),
    )  # fmt: skip
    owners = [passage for passage in prepared.passages for _ in passage.segments]
    put(
        "segments",
        (
            {"id": id << PLACES | n, "document": id, "kind": p.kind,
             "passage": id << PLACES | p.number, "vector": vector.tolist()}
            for n, (p, vector) in enumerate(zip(owners, prepared.vectors, strict=True))
        ),
    )  # fmt: skip
    first_level = [section.path[0] for section in prepared.headings if section.level == 1]
    row = {
        "key": document.sha256,
        "id": id,
        "known": json.dumps(as_json(document), ensure_ascii=False),
        "headings": json.dumps(fitting(first_level), ensure_ascii=False),
        "passages": len(prepared.passages),
        "pages": len(document.pages),
        "none": NO_VECTOR,
    }
    client.upsert(full_name(address, "documents"), [row])


def _key(path: Path) -> str:
    return sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()
