"""A library in Milvus, for more reports than one machine holds. The one door to pymilvus.

Milvus does the searching: vectors, BM25 and filters. What a report is stands whole in its record, cut
into rows, since a field of Milvus is short. A report is in the library as long as its row stands in
``documents``, which is written last and deleted first: there are no transactions. One writer at a
time, as with a folder, but nothing keeps a second one out.
"""

import json
import logging
import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import numpy as np

from index.columns import Scope
from index.contract import (
    Candidate,
    Entry,
    MadeBy,
    Match,
    Model,
    Outcome,
    Prepared,
    check_model,
)
from index.encoder import Vectors
from index.errors import ReportError
from index.types import Document, Field, Passage, Report, Section, Segment, Span

FORMAT = 1

_PLACES = 20  # bits of an id that count passages or segments; those above are the document's
_EPOCH = (
    1_700_000_000_000  # ms; an id of a document has 40 bits of time, until 2058, and 3 of chance
)
_PART = 16_000  # characters of a row of a record: 65,535 bytes are the most
_TERMS = (
    4_600  # terms of a passage: 65,535 bytes; those of the 4,600th character and on are left out
)
_MOST = 16_384  # hits of a search, the most that Milvus gives
_AT_ONCE = 500  # rows written or asked for at a time
_COLLECTIONS = ("probes", "meta", "files", "records", "passages", "segments", "documents")
_KNOWN = [field.name for field in fields(Report)]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a library in Milvus is: ``uri`` of a server, or the path of a file for milvus-lite."""

    uri: str
    name: str
    token: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``milvus://[user:password@]host[:port]/name`` or ``milvus:///folder/file.db``.

        Raises ``ReportError`` if it is neither.
        """
        try:
            parts = urlsplit(text)
            path, host = unquote(parts.path), parts.hostname
            if parts.scheme == "milvus" and host and path[1:].isidentifier() and path.isascii():
                token = unquote(":".join(filter(None, (parts.username, parts.password))))
                return cls(f"http://{host}:{parts.port or 19530}", path[1:], token)
            if parts.scheme == "milvus" and not parts.netloc and path.endswith(".db"):
                return cls(str(Path(path).absolute()), "yiju")
        except ValueError:
            pass
        raise ReportError(
            f"“{text}”不是 Milvus 资料库的地址，请写成 milvus://主机:19530/名称（字母、数字和下划线），"
            "或 milvus:///文件夹/文件.db。"
        )

    def __str__(self) -> str:
        return self.uri if self.is_file else f"{self.uri}/{self.name}"

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine."""
        return "://" not in self.uri


class MilvusWriter:
    """A ``Writer`` of a library in Milvus."""

    def __init__(self, address: Address) -> None:
        self._at = address

    def version(self) -> str | None:
        """Return what tells one state of one library from every other; None where nothing is yet."""
        with told(self._at):
            known = _facts(self._at)
            return f"{known['library']}:{known['generation']}" if "generation" in known else None

    def create(self, model: Model, probes: Callable[[], Vectors]) -> None:
        """Make an empty library for the vectors of a model, if there is none of this name.

        Raises ``ReportError`` if there is one of another format or model.
        """
        with told(self._at):
            known = _facts(self._at)
            if known:
                return check_model(self._at, _made_by(self._at, known), model)
            _make_collections(self._at, model.dim)
            rows = [{"id": n, "vector": v.tolist()} for n, v in enumerate(probes())]
            _client(self._at).upsert(_name(self._at, "probes"), rows)
            _set_facts(
                self._at,
                format=FORMAT,
                encoder=model.name,
                fingerprint=model.fingerprint,
                dim=model.dim,
                library=uuid.uuid4().hex,
            )

    def holds(self, sha256: str, path: Path | None = None) -> bool:
        """Whether the library has a document of these bytes, and as the file of this path if given."""
        with told(self._at):
            if not _facts(self._at):
                return False
            there = _rows(self._at, "documents", f"key == {_quoted(sha256)}", "id")
            return bool(there) and (path is None or _held_by(self._at, path) == sha256)

    def link(self, sha256: str, path: Path) -> Outcome | None:
        """Record that a file holds a document of the library; None if there is none of these bytes."""
        with told(self._at):
            return self._point(path, sha256) if self.holds(sha256) else None

    def write(self, prepared: Prepared, *, path: Path | None, model: Model) -> Outcome:
        """Add a document, in place of what the file at ``path`` held before."""
        sha256 = prepared.document.sha256
        with told(self._at):
            check_model(self._at, _made_by(self._at, _facts(self._at)), model)
            if self.holds(sha256):
                return self._point(path, sha256) if path else "未变"
            milliseconds = time.time_ns() // 1_000_000 - _EPOCH
            id = milliseconds << 3 | secrets.randbelow(8)
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
        before = _held_by(self._at, path)
        row = {"key": _key(path), "path": str(path), "document": sha256, "none": _NO_VECTOR}
        _client(self._at).upsert(_name(self._at, "files"), [row])
        if before in (None, sha256):
            return "未变"
        if not _rows(self._at, "files", f"document == {_quoted(before)}", "key"):
            self._delete(before)
        return "更新"

    def _delete(self, sha256: str) -> None:
        wanted = f"key == {_quoted(sha256)}"
        for row in _rows(self._at, "documents", wanted, "id"):
            client = _client(self._at)
            client.delete(_name(self._at, "documents"), filter=wanted)
            client.delete(_name(self._at, "files"), filter=f"document == {_quoted(sha256)}")
            for collection in ("passages", "segments", "records"):
                client.delete(_name(self._at, collection), filter=f"document == {row['id']}")
        self._changed()

    def _changed(self) -> None:
        _set_facts(self._at, generation=uuid.uuid4().hex)


class MilvusLibrary:
    """A library in Milvus opened for reading: a ``Store``. Thread-safe.

    What is added after it was opened is passed over; what is removed is found no more.
    """

    def __init__(self, address: Address, known: dict[str, Any]) -> None:
        self._at = address
        self._lock = threading.Lock()
        self._records: dict[int, _Record] = {}
        self._frequencies: dict[str, int] = {}
        self.model = _made_by(address, known)
        self.version = f"{known['library']}:{known.get('generation', '')}"
        self.probes = _stacked(_rows(address, "probes", "", "id", "vector"), self.model.dim)
        rows = _rows(address, "documents", "", "key", "id", "known", "passages", "pages")
        self._known = {row["id"]: row for row in sorted(rows, key=lambda row: int(row["id"]))}
        self._ids = {row["key"]: id for id, row in self._known.items()}

    @classmethod
    def open(cls, address: Address) -> Self:
        """Open a library. Raises ``ReportError`` if it is missing or of another format."""
        with told(address):
            known = _facts(address)
            if not known:
                raise ReportError(
                    f"没有找到资料库“{address}”，请先运行 python -m index --library 地址 add 文件，"
                    "或用 python -m index migrate 地址 把现有的资料库搬过去。"
                )
            return cls(address, known)

    def close(self) -> None:
        """Do nothing: the connection is shared."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of passages."""
        return sum(row["passages"] for row in self._known.values())

    def entries(self) -> tuple[Entry, ...]:
        """Return the reports in the order they were added."""
        with told(self._at):
            paths: dict[str, list[str]] = {}
            for row in _rows(self._at, "files", "", "path", "document"):
                paths.setdefault(row["document"], []).append(row["path"])
        return tuple(
            Entry(id, _report(row["known"]), row["passages"], row["pages"],
                  tuple(sorted(paths.get(row["key"], ()))))
            for id, row in self._known.items()
        )  # fmt: skip

    def document(self, id: int) -> Document:
        """Return a report with its text."""
        return self._record(id).document

    def headings(self, document: str) -> tuple[Section, ...]:
        """Return the sections of the document with this sha256 in order, run-in ones too."""
        return self._record(self._ids[document]).headings if document in self._ids else ()

    def vectors(self, id: int) -> Vectors:
        """Return the vectors of the segments of a document in order, float32 [n, dim]."""
        with told(self._at):
            rows = _rows(self._at, "segments", f"document == {id}", "id", "vector")
        return _stacked(rows, self.model.dim)

    def candidates(
        self,
        vector: Vectors,
        terms: Sequence[str],
        *,
        near: int,
        lexical: int,
        scope: Scope | None = None,
    ) -> list[Candidate]:
        """Return the passages of the segments nearest to float32 [dim] and the best by BM25.

        So many of each at most, both with both scores, in the order of the library.
        """
        with told(self._at):
            cosines = self._cosines(vector, near, _filter(scope))
            bm25 = self._bm25(terms, lexical, _filter(scope))
            by_terms, by_meaning = bm25.keys() - cosines.keys(), cosines.keys() - bm25.keys()
            for ids in _batches(sorted(by_terms)):
                cosines |= self._cosines(vector, _MOST, f"passage in {ids}")
            for ids in _batches(sorted(by_meaning)):
                bm25 |= self._bm25(terms, len(ids), f"id in {ids}")
        return [
            Candidate(id, id >> _PLACES, cosines.get(id, -1.0), bm25.get(id, 0.0))
            for id in sorted(cosines)
            if id >> _PLACES in self._known
        ]

    def nearest(
        self, questions: Vectors, limit: int, scope: Scope | None = None
    ) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """
        with told(self._at):
            found = self._search("segments", "vector", questions.tolist(), limit, _filter(scope))
        return [
            sorted(((int(hit["id"]), hit["distance"]) for hit in hits), key=lambda f: (-f[1], f[0]))
            for hits in found
        ]

    def holds_all(self, terms: Sequence[str], scope: Scope | None = None) -> bool:
        """Whether one passage holds all of the terms."""
        if not terms:
            return False
        every = " and ".join(f"text_match(terms, '{_word(term)}')" for term in terms)
        wanted = " and ".join(filter(None, (every, _filter(scope))))
        with told(self._at):
            return bool(_rows(self._at, "passages", wanted, "id", limit=1))

    def lexical_best(
        self, terms: Sequence[str], limit: int, scope: Scope | None = None
    ) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""
        with told(self._at):
            found = self._bm25(terms, limit, _filter(scope))
        best = sorted(found, key=lambda id: (-found[id], id))
        return [id for id in best if id >> _PLACES in self._known]

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """Return in how many passages each of the terms stands."""
        with told(self._at):
            for term in terms:
                if term not in self._frequencies:
                    wanted = f"text_match(terms, '{_word(term)}')"
                    (row,) = _rows(self._at, "passages", wanted, "count(*)", limit=None)
                    self._frequencies[term] = int(row["count(*)"])
        return {term: self._frequencies[term] for term in terms}

    def digests(self, passage_ids: Sequence[int]) -> dict[int, bytes]:
        """Return what is the same for passages that say the same."""
        rows = self._of_ids("passages", "id", sorted(passage_ids), "id", "digest")
        return {int(row["id"]): bytes.fromhex(row["digest"]) for row in rows}

    def copies(self, digests: Sequence[bytes], scope: Scope | None = None) -> dict[int, bytes]:
        """Return all passages with one of these digests by id, in the order of the library."""
        named = [digest.hex() for digest in digests]
        rows = self._of_ids("passages", "digest", named, "id", "digest", also=_filter(scope))
        found = {int(row["id"]): bytes.fromhex(row["digest"]) for row in rows}
        return {id: found[id] for id in sorted(found) if id >> _PLACES in self._known}

    def matches(self, vector: Vectors, passage_ids: Sequence[int]) -> dict[int, list[Match]]:
        """Return every segment of the passages with its cosine to float32 [dim], in order."""
        rows = self._of_ids("segments", "passage", sorted(passage_ids), "id", "passage", "vector")
        held: dict[int, list[Any]] = {id: [] for id in passage_ids}
        for row in sorted(rows, key=lambda row: int(row["id"])):
            held[row["passage"]].append(row["vector"])
        return {
            id: [
                Match(segment, float(np.array(stored, np.float32) @ vector))
                for segment, stored in zip(self._passage(id).segments, held[id], strict=True)
            ]
            for id in passage_ids
        }

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""
        if document is not None:
            id = self._ids.get(document)
            ids = (
                [] if id is None else [id << _PLACES | p.number for p in self._record(id).passages]
            )
        return {id: self._passage(id) for id in ids or ()}

    def faults(self) -> list[str]:
        """Return what is wrong with the rows, a Chinese sentence each."""
        wrong = []
        with told(self._at):
            held = {name: self._counted(name) for name in ("passages", "segments")}
            for id, row in self._known.items():
                passages = self._record(id).passages
                expected = (len(passages), sum(len(p.segments) for p in passages))
                if (held["passages"].pop(id, 0), held["segments"].pop(id, 0)) != expected:
                    title = _report(row["known"]).title or _report(row["known"]).name
                    wrong.append(f"《{title}》的段落或向量不全，请移除后重新添加")
        if any(held.values()):
            wrong.append("有不属于任何报告的段落或向量：添加时中断留下的，不影响查询")
        return wrong

    def _counted(self, collection: str) -> dict[int, int]:
        rows = _rows(self._at, collection, "", "document")
        return dict(Counter(int(row["document"]) for row in rows))

    def _passage(self, id: int) -> Passage:
        return self._record(id >> _PLACES).passages[(id & (1 << _PLACES) - 1) - 1]

    def _record(self, id: int) -> "_Record":
        with self._lock:
            if id not in self._records:
                with told(self._at):
                    rows = _rows(self._at, "records", f"document == {id}", "id", "text")
                    rows.sort(key=lambda row: int(row["id"]))
                    record = _unpacked("".join(row["text"] for row in rows))
                self._records[id] = record
            return self._records[id]

    def _cosines(self, vector: Vectors, limit: int, among: str) -> dict[int, float]:
        """Return the cosines of the passages of the nearest segments."""
        best: dict[int, float] = {}
        (hits,) = self._search("segments", "vector", [vector.tolist()], limit, among, "passage")
        for hit in hits:
            id = int(hit["entity"]["passage"])
            best[id] = max(best.get(id, -1.0), float(hit["distance"]))
        return best

    def _bm25(self, terms: Sequence[str], limit: int, among: str) -> dict[int, float]:
        if not terms or not limit:
            return {}
        words = " ".join(map(_word, terms))
        (hits,) = self._search("passages", "bm25", [words], limit, among)
        return {int(hit["id"]): abs(float(hit["distance"])) for hit in hits}  # milvus-lite: below 0

    def _search(
        self, collection: str, field: str, data: list[Any], limit: int, among: str, *wanted: str
    ) -> list[list[dict[str, Any]]]:
        found = _client(self._at).search(
            _name(self._at, collection),
            data=data,
            anns_field=field,
            limit=limit,
            filter=among,
            output_fields=list(wanted),
        )
        return [list(hits) for hits in found]

    def _of_ids(
        self, collection: str, field: str, values: Sequence[Any], *wanted: str, also: str = ""
    ) -> list[dict[str, Any]]:
        with told(self._at):
            return [
                row
                for batch in _batches(list(values))
                for row in _rows(
                    self._at,
                    collection,
                    " and ".join(filter(None, (f"{field} in {json.dumps(batch)}", also))),
                    *wanted,
                )
            ]


@dataclass(frozen=True, slots=True)
class _Record:
    document: Document
    headings: tuple[Section, ...]
    passages: tuple[Passage, ...]


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Turn what pymilvus raises into a sentence for the user."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as exc:
        raise ReportError(
            f"不能读写 Milvus 资料库“{address}”：连不上、没有权限或被拒绝（代码 {exc.code}），"
            "请检查地址和 Milvus 是否在运行。"
        ) from exc
    except (LookupError, ValueError, TypeError) as exc:
        raise ReportError(
            f"Milvus 资料库“{address}”里的内容不完整，可能正在变动：请再问一次；"
            "如果总是这样，请移除后重新添加报告。"
        ) from exc


_NO_VECTOR = [0.0, 0.0]  # every collection must have one


@cache
def _client(address: Address) -> Any:
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints what it raises as well
    try:
        from pymilvus import MilvusClient
    except ImportError as exc:
        raise ReportError("没有安装 pymilvus，请运行 pip install 'yiju[milvus]' 后重试。") from exc

    if address.is_file:
        Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
    return MilvusClient(address.uri, token=address.token)


@cache
def _load(address: Address) -> None:
    """Have Milvus hold the collections ready; what was made by another process is not by itself."""
    for collection in _COLLECTIONS:
        _client(address).load_collection(_name(address, collection))


def _name(address: Address, collection: str) -> str:
    return f"{address.name}_{collection}"


def _make_collections(address: Address, dim: int) -> None:
    from pymilvus import DataType, Function, FunctionType

    def text(length: int) -> dict[str, Any]:
        return {"datatype": DataType.VARCHAR, "max_length": length}

    number = {"datatype": DataType.INT64}
    none = {"datatype": DataType.FLOAT_VECTOR, "dim": 2}
    shape: dict[str, dict[str, dict[str, Any]]] = {
        "probes": {"id": number, "vector": {"datatype": DataType.FLOAT_VECTOR, "dim": dim}},
        "meta": {"key": text(64), "value": text(65_535), "none": none},
        "files": {"key": text(64), "path": text(8192), "document": text(64), "none": none},
        "records": {"id": number, "document": number, "text": text(65_535), "none": none},
        "passages": {
            "id": number, "document": number, "kind": text(16), "digest": text(32),
            "terms": text(65_535) | {"enable_analyzer": True, "enable_match": True,
                                     "analyzer_params": {"tokenizer": "standard"}},
            "bm25": {"datatype": DataType.SPARSE_FLOAT_VECTOR},
        },
        "segments": {
            "id": number, "document": number, "kind": text(16), "passage": number,
            "vector": {"datatype": DataType.FLOAT_VECTOR, "dim": dim},
        },
        "documents": {
            "key": text(64), "id": number, "known": text(65_535), "passages": number,
            "pages": number, "none": none,
        },
    }  # fmt: skip
    indexes: dict[str, dict[str, Any]] = {
        "none": {"index_type": "FLAT", "metric_type": "IP"},
        "vector": {"index_type": "FLAT" if address.is_file else "AUTOINDEX", "metric_type": "IP"},
        "bm25": {
            "index_type": "SPARSE_INVERTED_INDEX",
            "metric_type": "BM25",
            "params": {"bm25_k1": 1.2, "bm25_b": 0.75},
        },
    }
    client = _client(address)
    for collection, columns in shape.items():
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        keys = client.prepare_index_params()
        for place, (column, told) in enumerate(columns.items()):
            schema.add_field(column, is_primary=place == 0, **told)
            if column in indexes:
                keys.add_index(column, **indexes[column])
        if collection == "passages":
            bm25 = Function(
                name="bm25",
                function_type=FunctionType.BM25,
                input_field_names=["terms"],
                output_field_names=["bm25"],
            )
            schema.add_function(bm25)
        name = _name(address, collection)
        client.create_collection(name, schema=schema, index_params=keys, consistency_level="Strong")


def _facts(address: Address) -> dict[str, Any]:
    """Return what the library says of itself; nothing if there is none, or one half made."""
    if address.is_file and not Path(address.uri).exists():
        return {}
    if not _client(address).has_collection(_name(address, "documents")):
        return {}
    _load(address)
    rows = _rows(address, "meta", "", "key", "value")
    return {row["key"]: json.loads(row["value"]) for row in rows}


def _set_facts(address: Address, **values: Any) -> None:
    rows = [{"key": k, "value": json.dumps(v), "none": _NO_VECTOR} for k, v in values.items()]
    _client(address).upsert(_name(address, "meta"), rows)


def _made_by(address: Address, known: dict[str, Any]) -> MadeBy:
    if known.get("format") != FORMAT:
        raise ReportError(
            f"Milvus 资料库“{address}”是格式 {known.get('format')}，本程序需要格式 {FORMAT}，"
            "请换一个名称，再重新添加报告。"
        )
    return MadeBy(known["encoder"], known["fingerprint"], int(known["dim"]))


def _rows(
    address: Address, collection: str, wanted: str, *columns: str, limit: int | None = 0
) -> list[dict[str, Any]]:
    """Return all rows that are wanted, or so many; None where the answer is one number."""
    client, name = _client(address), _name(address, collection)
    if limit != 0 or address.is_file:  # milvus-lite has no iterator, and no limit of 16,384
        told = {"limit": limit} if limit else {}
        return list(client.query(name, filter=wanted, output_fields=list(columns), **told))
    found: list[dict[str, Any]] = []
    pages = client.query_iterator(
        name, filter=wanted, output_fields=list(columns), batch_size=_AT_ONCE
    )
    while page := pages.next():
        found += page
    pages.close()
    return found


def _insert(address: Address, id: int, prepared: Prepared) -> None:
    client, document = _client(address), prepared.document

    def put(collection: str, rows: Iterable[dict[str, Any]]) -> None:
        for batch in _batches(list(rows)):
            client.insert(_name(address, collection), batch)

    record = _packed(prepared)
    parts = [record[start : start + _PART] for start in range(0, len(record), _PART)]
    put(
        "records",
        (
            {"id": id << _PLACES | n, "document": id, "text": part, "none": _NO_VECTOR}
            for n, part in enumerate(parts)
        ),
    )
    told = zip(prepared.passages, prepared.terms, prepared.digests, strict=True)
    put(
        "passages",
        (
            {"id": id << _PLACES | p.number, "document": id, "kind": p.kind,
             "digest": digest.hex(), "terms": " ".join(map(_word, terms[:_TERMS]))}
            for p, terms, digest in told
        ),
    )  # fmt: skip
    owners = [passage for passage in prepared.passages for _ in passage.segments]
    put(
        "segments",
        (
            {"id": id << _PLACES | n, "document": id, "kind": p.kind,
             "passage": id << _PLACES | p.number, "vector": vector.tolist()}
            for n, (p, vector) in enumerate(zip(owners, prepared.vectors, strict=True))
        ),
    )  # fmt: skip
    known = {name: getattr(document, name) for name in _KNOWN}
    row = {
        "key": document.sha256,
        "id": id,
        "known": json.dumps(known | {"date": document.date and document.date.isoformat()}),
        "passages": len(prepared.passages),
        "pages": len(document.pages),
        "none": _NO_VECTOR,
    }
    client.upsert(_name(address, "documents"), [row])


def _packed(prepared: Prepared) -> str:
    """Return a report with its headings and passages as JSON."""
    document = prepared.document
    places = {section: place for place, section in enumerate(prepared.headings)}
    known = {name: getattr(document, name) for name in _KNOWN}
    known["date"] = document.date and document.date.isoformat()
    return json.dumps(
        {
            "known": known,
            "text": document.text,
            "fields": [(field.role, field.spans) for field in document.fields],
            "furniture": document.furniture,
            "pages": document.pages,
            "headings": [(s.path, s.kind, s.span, s.run_in) for s in prepared.headings],
            "passages": [
                (p.number, p.spans, p.role, places[p.section] if p.section else None, p.kind,
                 [(s.grain, s.start, s.end) for s in p.segments], p.header)
                for p in prepared.passages
            ],
        },
        ensure_ascii=False,
    )  # fmt: skip


def _unpacked(stored: str) -> _Record:
    """Return what ``_packed`` packed."""
    told = json.loads(stored)
    document = Document(
        **_known(told["known"]),
        text=told["text"],
        fields=tuple(Field(role, _spans(spans)) for role, spans in told["fields"]),
        furniture=_spans(told["furniture"]),
        pages=tuple(told["pages"]),
    )
    headings = tuple(
        Section(tuple(path), kind, (start, end), run_in)
        for path, kind, (start, end), run_in in told["headings"]
    )
    passages = tuple(
        Passage(
            document, number, _spans(spans), role,
            None if place is None else headings[place], kind,
            tuple(Segment(*segment) for segment in segments), _spans(header),
        )
        for number, spans, role, place, kind, segments, header in told["passages"]
    )  # fmt: skip
    return _Record(document, headings, passages)


def _stacked(rows: list[dict[str, Any]], dim: int) -> Vectors:
    """Return the vectors of rows in the order of their ids, float32 [n, dim]."""
    rows = sorted(rows, key=lambda row: int(row["id"]))
    return np.array([row["vector"] for row in rows], np.float32).reshape(-1, dim)


def _report(stored: str) -> Report:
    return Report(**_known(json.loads(stored)))


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"date": told["date"] and date.fromisoformat(told["date"])}


def _spans(stored: Iterable[Sequence[int]]) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in stored)


def _filter(scope: Scope | None) -> str:
    if scope is None:
        return ""
    parts = []
    if scope.documents is not None:
        parts.append(f"document in {list(scope.documents)}")
    if scope.kinds is not None:
        parts.append(f"kind in {json.dumps(list(scope.kinds), ensure_ascii=False)}")
    return " and ".join(parts)


def _word(term: str) -> str:
    """Return a term as letters and digits alone, 13 of them, so that every tokenizer leaves it whole.

    Of 64 bits: Milvus hashes the words of its sparse vectors to 32 bits itself.
    """
    return np.base_repr(int.from_bytes(blake2b(term.encode(), digest_size=8).digest()), 36).lower()


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _key(path: Path) -> str:
    return sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()


def _held_by(address: Address, path: Path) -> str | None:
    rows = _rows(address, "files", f"key == {_quoted(_key(path))}", "document")
    return str(rows[0]["document"]) if rows else None


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
