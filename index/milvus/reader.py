"""Read a library in Milvus, which does the searching: vectors, BM25 and filters."""

import json
import math
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np

from index.columns import DIGEST, Scope
from index.contract import Candidates, Entry, ask_probes
from index.encoder import Vectors
from index.errors import ReportError
from index.milvus.record import PLACES, Record, report_of, unpack, word
from index.milvus.server import (
    WAIT,
    Address,
    connect,
    fetch,
    full_name,
    in_batches,
    load_facts,
    made_by,
    told,
    version_of,
)
from index.types import Document, Passage, Section

_MOST = 16_384  # hits of a search, the most that Milvus gives
_HELD = 64  # reports kept in memory
_AT_THE_SAME_TIME = 8  # requests
_ENTRY = ("key", "id", "known", "headings", "passages", "pages")


class MilvusLibrary:
    """A library in Milvus opened for reading: a ``Store``. Thread-safe.

    What is added after it was opened is passed over; what is removed is found no more.
    """

    def __init__(self, address: Address, known: dict[str, Any]) -> None:
        self._at = address
        self._lock = threading.Lock()
        self._records: dict[int, Record] = {}
        self._rarities: dict[str, float] = {}
        self.model = made_by(address, known)
        self.version = version_of(known)
        self.probes = _stacked(fetch(address, "probes", "", "id", "vector"), self.model.dim)
        rows = fetch(address, "documents", "", *_ENTRY)
        self._known = {row["id"]: row for row in sorted(rows, key=lambda row: int(row["id"]))}
        self._ids = {row["key"]: id for id, row in self._known.items()}
        # Ids rise: what comes later is beyond the last, and one that comes or goes is pending.
        self._settled = f"document <= {max(self._known, default=-1)}"
        if known.get("pending") is not None and known["pending"] not in self._known:
            self._settled += f" and document != {known['pending']}"

    @classmethod
    def open(cls, address: Address) -> Self:
        """Open a library. Raises ``ReportError`` if it is missing or of another format."""
        with told(address):
            known = load_facts(address)
            if not known:
                raise ReportError(
                    f"没有找到资料库“{address}”，请先运行 python -m index --library 地址 add 文件，"
                    "或用 python -m index migrate 地址 把现有的资料库搬过去。"
                )
            return cls(address, known)

    def is_newest(self) -> bool:
        """Whether nothing was added or removed since."""
        with told(self._at):
            return version_of(load_facts(self._at)) == self.version

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
            for row in fetch(self._at, "files", "", "path", "document"):
                paths.setdefault(row["document"], []).append(row["path"])
        return tuple(
            Entry(id, report_of(row["known"]), row["passages"], row["pages"],
                  tuple(sorted(paths.get(row["key"], ()))), tuple(json.loads(row["headings"])))
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
            rows = fetch(self._at, "segments", f"document == {id}", "id", "vector")
        return _stacked(rows, self.model.dim)

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
        with told(self._at):
            cosines = self._cosines(vector, near, self._within(scope))
            bm25 = self._bm25(terms, lexical, self._within(scope))
            by_terms, by_meaning = bm25.keys() - cosines.keys(), cosines.keys() - bm25.keys()
            for ids in in_batches(sorted(by_terms)):
                cosines |= self._cosines(vector, _MOST, f"passage in {ids}")
            for ids in in_batches(sorted(by_meaning)):
                bm25 |= self._bm25(terms, len(ids), f"id in {ids}")
        said = self._said("id", sorted(cosines))
        ids = list(said)  # without what was removed meanwhile
        passages = np.array(ids, np.int64)
        return Candidates(
            passages,
            passages >> PLACES,
            np.frombuffer(b"".join(said.values()), f"V{DIGEST}"),
            np.array([cosines[id] for id in ids], np.float32),
            np.array([bm25.get(id, 0.0) for id in ids]),
        )

    def nearest(
        self, questions: Vectors, limit: int, scope: Scope | None = None
    ) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """
        with told(self._at):
            found = self._search(
                "segments", "vector", questions.tolist(), limit, self._within(scope)
            )
        return [
            sorted(((int(hit["id"]), hit["distance"]) for hit in hits), key=lambda f: (-f[1], f[0]))
            for hits in found
        ]

    def probed(self) -> Vectors:
        """Return how near each probe question comes to anything: cosines float32 [n]."""
        return ask_probes(self)

    def holds_all(self, terms: Sequence[str], scope: Scope | None = None) -> bool:
        """Whether one passage holds all of the terms."""
        if not terms:
            return False
        every = " and ".join(f"text_match(terms, '{word(term)}')" for term in terms)
        with told(self._at):
            wanted = f"{every} and {self._within(scope)}"
            return bool(fetch(self._at, "passages", wanted, "id", limit=1))

    def lexical_best(
        self, terms: Sequence[str], limit: int, scope: Scope | None = None
    ) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""
        with told(self._at):
            found = self._bm25(terms, limit, self._within(scope))
        return sorted(found, key=lambda id: (-found[id], id))

    def rarities(self, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each term, above 0.

        As Milvus has it: log(1 + (N - n + 0.5) / (n + 0.5)) for a term in n of N passages.
        """
        new = [term for term in terms if term not in self._rarities]
        with told(self._at), ThreadPoolExecutor(_AT_THE_SAME_TIME) as pool:
            total = len(self)
            for term, held in zip(new, pool.map(self._frequency, new), strict=True):
                n = min(held, total)
                self._rarities[term] = math.log1p((total - n + 0.5) / (n + 0.5))
        return {term: self._rarities[term] for term in terms}

    def copies(self, digests: Sequence[bytes], scope: Scope | None = None) -> dict[int, bytes]:
        """Return all passages with one of these digests by id, in the order of the library."""
        return self._said("digest", [each.hex() for each in digests], also=self._within(scope))

    def _said(self, field: str, values: Sequence[Any], *, also: str = "") -> dict[int, bytes]:
        """Return the digests of some passages by id, in the order of the library."""
        rows = self._of_ids("passages", field, values, "id", "digest", also=also)
        return dict(sorted((int(row["id"]), bytes.fromhex(row["digest"])) for row in rows))

    def cosines(self, vector: Vectors, passage_ids: Sequence[int]) -> dict[int, Vectors]:
        """Return how near the segments of passages are to float32 [dim], in their order."""
        rows = self._of_ids("segments", "passage", sorted(passage_ids), "id", "passage", "vector")
        held: dict[int, list[Any]] = {id: [] for id in passage_ids}
        for row in sorted(rows, key=lambda row: int(row["id"])):
            held[row["passage"]].append(row["vector"])
        with told(self._at):
            for id, stored in held.items():
                if len(stored) != len(self._passage(id).segments):
                    raise LookupError("the segments of a passage are not whole")
            return {
                id: np.array(stored, np.float32).reshape(-1, self.model.dim) @ vector
                for id, stored in held.items()
            }

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""
        if document is not None:
            id = self._ids.get(document)
            ids = [] if id is None else [id << PLACES | p.number for p in self._record(id).passages]
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
                    title = report_of(row["known"]).title or report_of(row["known"]).name
                    wrong.append(f"《{title}》的段落或向量不全，请移除后重新添加")
        if any(held.values()):
            wrong.append("有不属于任何报告的段落或向量：添加时中断留下的，下次添加时清除")
        return wrong

    def _counted(self, collection: str) -> dict[int, int]:
        rows = fetch(self._at, collection, "", "document")
        return dict(Counter(int(row["document"]) for row in rows))

    def _passage(self, id: int) -> Passage:
        return self._record(id >> PLACES).passages[(id & (1 << PLACES) - 1) - 1]

    def _record(self, id: int) -> "Record":
        with self._lock:
            known = self._records.get(id)
        if known is None:
            with told(self._at):
                rows = fetch(self._at, "records", f"document == {id}", "id", "text")
                rows.sort(key=lambda row: int(row["id"]))
                known = unpack("".join(row["text"] for row in rows))
            with self._lock:
                self._records[id] = known
                while len(self._records) > _HELD:
                    del self._records[next(iter(self._records))]
        return known

    def _within(self, scope: Scope | None) -> str:
        """Return the filter for the reports that were there when it was opened, in a scope."""
        return " and ".join(filter(None, (self._settled, _filter(scope))))

    def _frequency(self, term: str) -> int:
        wanted = f"text_match(terms, '{word(term)}') and {self._settled}"
        (row,) = fetch(self._at, "passages", wanted, "count(*)", limit=None)
        return int(row["count(*)"])

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
        words = " ".join(map(word, terms))
        (hits,) = self._search("passages", "bm25", [words], limit, among)
        return {int(hit["id"]): abs(float(hit["distance"])) for hit in hits}  # milvus-lite: below 0

    def _search(
        self, collection: str, field: str, data: list[Any], limit: int, among: str, *wanted: str
    ) -> list[list[dict[str, Any]]]:
        found = connect(self._at).search(
            full_name(self._at, collection),
            data=data,
            anns_field=field,
            limit=limit,
            filter=among,
            output_fields=list(wanted),
            timeout=WAIT,
        )
        return [list(hits) for hits in found]

    def _of_ids(
        self, collection: str, field: str, values: Sequence[Any], *wanted: str, also: str = ""
    ) -> list[dict[str, Any]]:
        with told(self._at):
            return [
                row
                for batch in in_batches(list(values))
                for row in fetch(
                    self._at,
                    collection,
                    " and ".join(filter(None, (f"{field} in {json.dumps(batch)}", also))),
                    *wanted,
                )
            ]


def _stacked(rows: list[dict[str, Any]], dim: int) -> Vectors:
    """Return the vectors of rows in the order of their ids, float32 [n, dim]."""
    rows = sorted(rows, key=lambda row: int(row["id"]))
    return np.array([row["vector"] for row in rows], np.float32).reshape(-1, dim)


def _filter(scope: Scope | None) -> str:
    if scope is None:
        return ""
    parts = []
    if scope.documents is not None:
        parts.append(f"document in {list(scope.documents)}")
    if scope.kinds is not None:
        parts.append(f"kind in {json.dumps(list(scope.kinds), ensure_ascii=False)}")
    return " and ".join(parts)
