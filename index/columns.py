"""What search scans of a library, column by column; derived from its rows, as the FAISS index is.

SQLite answers what a passage is. Which passages hold the terms of a question and how often, which
segments are whose, and how near these are it answers too slowly: BM25 by FTS5 takes a call for every
passage that matches, a vector a page of the database.
"""

import hashlib
import json
import math
import mmap
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from index.encoder import Vectors
from index.types import Grain, Kind, Segment

FILE = "columns.safetensors"
KINDS: tuple[Kind, ...] = get_args(Kind)
GRAINS: tuple[Grain, ...] = get_args(Grain)

DIGEST = 16
"""Bytes of what is the same for passages that say the same."""

K1, B = 1.2, 0.75
"""Of BM25: those of FTS5."""

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Range = tuple[int, int]
"""A stretch of ``Columns.postings``, half-open: those of one term."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a library: the ids of its documents and its kinds; None where all are in it."""

    documents: tuple[int, ...] | None = None
    kinds: tuple[Kind, ...] | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of n passages, m segments, t terms and p postings, each in the order of its ids.

    The passages of a document stand together, and the documents in the order of their ids.
    ``documents``, ``kinds`` (places in ``KINDS``) and ``digests`` ([n, 16]) are those of the
    ``passages``, ``norms`` what their lengths are in BM25; ``owners`` the places of the passages of the
    ``segments``, ``grains`` (places in ``GRAINS``), ``spans`` ([m, 2]) and ``vectors`` ([m, dim], to be
    multiplied by their ``scales``) what these are. The passages of the term hashed to ``hashes[i]`` are
    ``postings[begins[i]:begins[i + 1]]``, with how often each holds it.
    """

    passages: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    digests: npt.NDArray[np.uint8]
    norms: npt.NDArray[np.float32]
    segments: npt.NDArray[np.int64]
    owners: npt.NDArray[np.uint32]
    grains: npt.NDArray[np.uint8]
    spans: npt.NDArray[np.uint32]
    vectors: npt.NDArray[np.int16]
    scales: npt.NDArray[np.float32]
    hashes: npt.NDArray[np.uint64]
    begins: npt.NDArray[np.int64]
    postings: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint16]

    @classmethod
    def of_rows(cls, connection: sqlite3.Connection, dim: int) -> Self:
        """Make the columns of a library."""
        sql = "SELECT id, document_id, kind, digest FROM passages"
        ids, documents, kinds, digests = _table(connection, sql, 4)
        sql = "SELECT id, passage_id, grain, start, end FROM segments"
        segments, owners, grains, *spans = _table(connection, sql, 5)
        places = {id: place for place, id in enumerate(ids)}
        norms, hashes, begins, postings, counts = _inverted(connection, places)
        return cls(
            np.array(ids, np.int64),
            np.array(documents, np.int64),
            np.array([KINDS.index(kind) for kind in kinds], np.uint8),
            np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST),
            norms,
            np.array(segments, np.int64),
            np.array([places[id] for id in owners], np.uint32),
            np.array([GRAINS.index(grain) for grain in grains], np.uint8),
            np.array(spans, np.uint32).T.copy(),
            *_rounded(connection, len(segments), dim),
            hashes,
            begins,
            postings,
            counts,
        )

    @classmethod
    def of_data(cls, data: bytes | mmap.mmap) -> Self:
        """Read columns as ``data`` gave them."""
        begin = 8 + int.from_bytes(data[:8], "little")
        told = json.loads(data[8:begin])
        columns = {}
        for field in fields(cls):
            start, end = told[field.name]["data_offsets"]
            dtype = np.dtype(_DTYPES[told[field.name]["dtype"]])
            count = (end - start) // dtype.itemsize
            column = np.frombuffer(data, dtype, count, begin + start)
            columns[field.name] = column.reshape(told[field.name]["shape"])
        return cls(**columns)

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Map a file of columns: read as they are looked at, by many processes once."""
        with file.open("rb") as opened:
            return cls.of_data(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))

    def data(self) -> bytes:
        """Return the columns as a file of safetensors."""
        from safetensors.numpy import save

        return save({field.name: getattr(self, field.name) for field in fields(self)})

    def within(self, scope: Scope | None) -> Mask | None:
        """Return which passages are in a part of the library, bool [n]; None if it is all of it."""
        if scope is None:
            return None
        mask = np.full(len(self.passages), scope.documents is None)
        wanted = np.array(scope.documents or (), np.int64)
        starts = np.searchsorted(self.documents, wanted)
        ends = np.searchsorted(self.documents, wanted, "right")
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            mask[start:end] = True
        if scope.kinds is not None:
            mask &= np.isin(self.kinds, [KINDS.index(kind) for kind in scope.kinds])
        return mask

    def postings_of(self, terms: Sequence[str]) -> tuple[Range, ...]:
        """Return where the postings of each term begin and end."""
        wanted = np.fromiter(map(_hash, terms), np.uint64, len(terms))
        at = np.searchsorted(self.hashes, wanted)
        ends = at + (self.hashes.take(at, mode="clip") == wanted) if len(self.hashes) else at
        return tuple(zip(self.begins[at].tolist(), self.begins[ends].tolist(), strict=True))

    def bm25(self, postings: Sequence[Range]) -> npt.NDArray[np.float64]:
        """Return BM25 of every passage for some terms, each given by its postings.

        float64 [n], 0 where none of the terms stands in the passage.

        As FTS5 has it: k1 = 1.2, b = 0.75; the inverse document frequency of a term in n of N
        passages is log((N - n + 0.5) / (n + 0.5)), at least 1e-6 (Robertson and Zaragoza 2009).
        """
        held = [end - start for start, end in postings]
        if not sum(held):
            return np.zeros(len(self.passages))
        among = np.concatenate([self.postings[start:end] for start, end in postings])
        often = np.concatenate([self.counts[start:end] for start, end in postings])
        rarities = np.repeat([self.rarity(each) for each in postings], held)
        shares = rarities * often * (K1 + 1) / (often + self.norms[among])
        return np.bincount(among, shares, len(self.passages)).astype(float, copy=False)

    def rarity(self, postings: Range) -> float:
        """Return the inverse document frequency of the term that has these postings: see ``bm25``."""
        total, held = len(self.passages), postings[1] - postings[0]
        return max(math.log((total - held + 0.5) / (held + 0.5)), 1e-6)

    def holding(self, postings: Sequence[Range]) -> Positions:
        """Return the places of the passages that hold all of some terms, ascending.

        Each term is given by its postings.
        """
        rarest = sorted(postings, key=lambda each: each[1] - each[0])
        found = self.postings[slice(*rarest[0])] if rarest else np.empty(0, np.uint32)
        for each in rarest[1:]:
            found = np.intersect1d(found, self.postings[slice(*each)], assume_unique=True)
        return found.astype(np.int64)

    def segments_of(self, places: Positions) -> tuple[Positions, Positions]:
        """Return the places of the segments of some passages, passage by passage.

        And int64 [n]: where those of each of the n passages end among them.
        """
        starts, ends = self.bounds(places)
        counts = ends - starts
        after = counts.cumsum()
        found: Positions = np.repeat(ends - after, counts)
        found += np.arange(len(found))
        return found, after

    def bounds(self, places: Positions) -> tuple[Positions, Positions]:
        """Return where the segments of each passage begin and end, half-open."""
        wanted = places.astype(np.uint32)  # of another type numpy would copy all the owners
        return np.searchsorted(self.owners, wanted), np.searchsorted(self.owners, wanted, "right")

    def cosines(self, vector: Vectors, places: Positions) -> Vectors:
        """Return the cosines of some segments to float32 [dim].

        Off by 2e-5 at most with the default model. Equal vectors have equal ones: a product of
        matrices would sum the last rows in another order.
        """
        rows = self.vectors.take(places, 0).astype(np.float32)
        found: Vectors = np.einsum("ij,j->i", rows, vector)
        return found * self.scales[places]

    def segments_in(self, places: Positions) -> list[tuple[Segment, ...]]:
        """Return the segments of each passage in their order."""
        return [
            tuple(
                Segment(GRAINS[grain], *span)
                for grain, span in zip(
                    self.grains[start:end].tolist(), self.spans[start:end].tolist(), strict=True
                )
            )
            for start, end in zip(*self.bounds(places), strict=True)
        ]

    def said(self, places: Positions) -> npt.NDArray[np.void]:
        """Return the digests of some passages, each as one value: ``V16`` [n]."""
        return self.digests[places].view(f"V{DIGEST}").ravel()


_DTYPES = {
    "I64": "<i8",
    "U64": "<u8",
    "U32": "<u4",
    "F32": "<f4",
    "I16": "<i2",
    "U16": "<u2",
    "U8": "u1",
}
_MOST = np.float32(32_767)
_AT_ONCE = 2**15  # vectors read at a time


def vectors_of(connection: sqlite3.Connection, sql: str, dim: int) -> Iterator[Vectors]:
    """Yield the stored vectors that a query gives, float32 [some, dim] at a time."""
    cursor = connection.execute(sql)
    while rows := cursor.fetchmany(_AT_ONCE):
        yield unpack((blob for (blob,) in rows), dim)


def unpack(blobs: Iterable[bytes], dim: int) -> Vectors:
    """Return stored vectors as float32 [n, dim]."""
    return np.frombuffer(b"".join(blobs), np.float32).reshape(-1, dim)


def _rounded(
    connection: sqlite3.Connection, count: int, dim: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Return all vectors in 16 bits and their scales. As halves of floats numpy reads them 5 times as long."""
    made, scales, start = np.empty((count, dim), np.int16), np.empty(count, np.float32), 0
    for rows in vectors_of(connection, "SELECT vector FROM segments ORDER BY id", dim):
        end = start + len(rows)
        scales[start:end] = np.maximum(np.abs(rows).max(1), 1e-9) / _MOST
        made[start:end] = np.rint(rows / scales[start:end, None])
        start = end
    return made, scales


def _table(connection: sqlite3.Connection, sql: str, width: int) -> list[tuple[Any, ...]]:
    """Return the columns of a query in the order of its first."""
    return list(zip(*connection.execute(f"{sql} ORDER BY 1"), strict=True)) or [()] * width


def _inverted(
    connection: sqlite3.Connection, places: dict[int, int]
) -> tuple[
    npt.NDArray[np.float32],
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint16],
]:
    """Return norms, hashes, begins, postings and counts."""
    vocabulary: dict[str, int] = {}
    lengths = np.zeros(len(places), np.float32)
    said: list[npt.NDArray[np.uint32]] = []
    owners: list[int] = []
    for id, words in connection.execute("SELECT rowid, terms FROM lexicon ORDER BY rowid"):
        terms = words.split()
        owners.append(places[id])
        lengths[places[id]] = len(terms)
        said.append(np.array([vocabulary.setdefault(t, len(vocabulary)) for t in terms], np.uint32))
    hashes = np.fromiter(map(_hash, vocabulary), np.uint64, len(vocabulary))
    order = np.argsort(hashes)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    held = np.repeat(np.array(owners, np.int64), [len(terms) for terms in said])
    pairs, counts = np.unique(
        (ranks[np.concatenate(said or [np.empty(0, np.uint32)])] << 32) | held, return_counts=True
    )
    mean = max(float(lengths.sum()) / max(len(lengths), 1), 1e-9)
    return (
        (K1 * (1 - B + B * lengths / mean)).astype(np.float32),
        hashes[order],
        np.searchsorted(pairs >> 32, np.arange(len(order) + 1)),
        (pairs & 0xFFFFFFFF).astype(np.uint32),
        np.minimum(counts, 0xFFFF).astype(np.uint16),
    )


def _hash(term: str) -> int:
    """Return 64 bits for a term: among a million of them two are alike once in 40 million libraries."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "little")
