"""The FAISS index of a library, derived from its rows. The one door to faiss.

It holds the vectors in the order of their segments' ids. The nearest that it finds by vectors in
8 bits are measured again by those of the rows: see ``store``.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from index.columns import Mask, Positions
from index.encoder import Vectors

FILE = "vectors.faiss"

FLAT = 20_000
"""Segments up to which every vector is compared as it is: 2.6 ms on one core of an old laptop."""

EIGHT_BITS = 50_000
"""Segments up to which every vector is compared, in 8 bits, which takes 0.6 times as long; above, those
of the lists nearest to the question: 1.4 ms instead of 3.9 at 50,000, 3 instead of 16 at 200,000."""

LOOKED_AT = 6
"""One list in so many is looked at: recall@10 is 0.996 and 0.997 among 60,000 and 200,000 vectors,
with one in 8 it is 0.992 and 0.993 (300 questions; 20,000 vectors of texts, and such with noise). The
165 dev questions: 0.992 among the 64,000 of 49 reports, 0.993 among 153,000 with noise."""

_WIDER = 0.2
"""By how much the range of 8 bits is wider on each side than the values of the sample: cosines are off
by 0.0025 at most and 0.0004 on average; of residuals and without it by 0.014 (153,000 segments)."""

_OFF = 0.0025

_AT_ONCE = 2**15  # rows read at a time
_ALL = "SELECT vector FROM segments ORDER BY id"
_APART = 1e-3  # squared distance of a vector in 8 bits to itself: of residuals, beside another list


@dataclass(frozen=True, slots=True)
class Index:
    """A FAISS index over the vectors of a library. Thread-safe.

    ``exact`` ones give the cosine of the very vectors, others that of vectors in 8 bits, which is
    ``off`` by so much at most.
    """

    faiss: Any
    off: float

    @property
    def exact(self) -> bool:
        """Whether cosines are those of the very vectors."""
        return not self.off

    @classmethod
    def of_rows(cls, connection: sqlite3.Connection, dim: int) -> Self:
        """Make the index that suits the number of segments."""
        (count,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        index = _empty(count, dim)
        if not index.is_trained:
            step = max(1, count // _sample(count))
            sql = f"SELECT vector FROM segments WHERE id % {step} = 0 ORDER BY id"
            index.train(np.concatenate(list(_vectors(connection, sql, dim))))
        for rows in _vectors(connection, _ALL, dim):
            index.add(rows)
        return cls._of(index)

    @classmethod
    def of_data(cls, data: bytes) -> Self:
        """Read an index as ``data`` gave it."""
        import faiss

        return cls._of(faiss.deserialize_index(np.frombuffer(data, np.uint8)))

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Map the file of an index: read as it is searched, by many processes once."""
        import faiss

        return cls._of(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC))

    @classmethod
    def _of(cls, index: Any) -> Self:
        return cls(index, _off(index))

    def data(self) -> bytes:
        """Return the index as a file."""
        import faiss

        written: bytes = faiss.serialize_index(self.faiss).tobytes()
        return written

    def grown(self, connection: sqlite3.Connection, last: int) -> Self | None:
        """Add the vectors of the segments with ids above ``last``; None if another kind suits better."""
        (count,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        wanted = _empty(count, self.faiss.d)
        fewer = getattr(wanted, "nlist", 1) > 2 * getattr(self.faiss, "nlist", 1)
        if type(wanted) is not type(self.faiss) or fewer or _off(wanted) != self.off:
            return None
        sql = f"SELECT vector FROM segments WHERE id > {last} ORDER BY id"
        for rows in _vectors(connection, sql, self.faiss.d):
            self.faiss.add(rows)
        return self

    def nearest(
        self,
        questions: Vectors,
        limit: int,
        among: Mask | None = None,
        *,
        every: bool = False,
    ) -> tuple[Positions, Vectors]:
        """Return the places of the nearest vectors to float32 [n, dim], and their cosines.

        Each [n, limit], nearest first, place -1 where there are no more; ``among`` which to look at,
        ``every`` one of them, whatever list it is in.
        """
        import faiss

        limit = min(limit, self.faiss.ntotal)
        if not limit:
            none = (len(questions), 0)
            return np.empty(none, np.int64), np.empty(none, np.float32)
        given: dict[str, Any] = {}
        if among is not None:
            bits = np.packbits(among, bitorder="little")
            given["sel"] = faiss.IDSelectorBitmap(len(among), faiss.swig_ptr(bits))
        parameters: Any = faiss.SearchParameters
        if isinstance(self.faiss, faiss.IndexIVF):
            parameters = faiss.SearchParametersIVF
            given["nprobe"] = self.faiss.nlist if every else max(1, self.faiss.nlist // LOOKED_AT)
        with _one_thread() if len(questions) == 1 else nullcontext():
            cosines, places = self.faiss.search(
                np.ascontiguousarray(questions), limit, params=parameters(**given)
            )
        return places, cosines

    def agrees(self, connection: sqlite3.Connection) -> bool:
        """Whether it holds the vectors of a library, as exactly as it can."""
        start = 0
        for rows in _vectors(connection, _ALL, self.faiss.d):
            places = np.arange(start, start := start + len(rows))
            if start > self.faiss.ntotal:
                return False
            held = self.faiss.reconstruct_batch(places)
            expected = self.faiss.sa_decode(self.faiss.sa_encode(rows))
            if (((held - expected) ** 2).sum(1) > _APART).any():
                return False
        return start == int(self.faiss.ntotal)

    def cosines(self, vector: Vectors, places: Positions) -> Vectors:
        """Return the cosines of some vectors of the index to float32 [dim]."""
        if not len(places):
            return np.empty(0, np.float32)
        with _one_thread():
            found: Vectors = self.faiss.reconstruct_batch(places) @ vector
        return found


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep faiss to the thread that asks: with both cores busy two wait on each other, five times as long."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def unpack(blobs: Iterable[bytes], dim: int) -> Vectors:
    """Return stored vectors as float32 [n, dim]."""
    return np.frombuffer(b"".join(blobs), np.float32).reshape(-1, dim)


def _vectors(connection: sqlite3.Connection, sql: str, dim: int) -> Iterator[Vectors]:
    cursor = connection.execute(sql)
    while rows := cursor.fetchmany(_AT_ONCE):
        yield unpack((blob for (blob,) in rows), dim)


def _empty(count: int, dim: int) -> Any:
    import faiss

    if count <= FLAT:
        return faiss.IndexFlatIP(dim)
    quantiser, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    if count <= EIGHT_BITS:
        whole = faiss.IndexScalarQuantizer(dim, quantiser, metric)
        whole.sq.rangestat_arg = _WIDER
        return whole
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim),
        dim,
        _lists(count),
        quantiser,
        metric,
        False,  # not of residuals
    )
    index.sq.rangestat_arg = _WIDER
    index.cp.niter, index.cp.min_points_per_centroid = 4, 1  # 10 rounds find no more than 4
    index.make_direct_map()  # to give vectors back by their places
    return index


def _off(index: Any) -> float:
    """Return how far a cosine may be off: not told of the files of a release before."""
    import faiss

    if isinstance(index, faiss.IndexFlat):
        return 0.0
    wider = index.sq.rangestat_arg == np.float32(_WIDER)
    return _OFF if wider and not getattr(index, "by_residual", False) else float("inf")


def _lists(count: int) -> int:
    return int(4 * count**0.5)


def _sample(count: int) -> int:
    """Return how many vectors to train on: 40 a list find no more than 16, and take three times."""
    return 16 * _lists(count)
