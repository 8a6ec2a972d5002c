"""The FAISS index of a library, derived from its rows. The one door to faiss.

It holds the vectors in the order of their segments' ids. The nearest that it finds are measured again
by the columns: see ``store``.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from index.columns import Columns, Mask, Positions, vectors_of
from index.encoder import Vectors

FILE = "vectors.faiss"

FLAT = 5_000
"""Segments up to which every vector is compared as it is, in 0.6 ms on one core of an old laptop; above,
codes of 4 bits for every two numbers."""

LOOKED_AT = 120
"""Of the lists of codes so many are looked at for each root of the segments: all up to 14,400 segments, a
half of 57,600, a tenth of 1.4 million. recall@10, and ms with cold caches, of 432 questions among the
64,000 segments of 49 reports and among 153,000, and of 216 among 1.5 million; most of the last two with
noise, in lists of 400 codes; above that nothing was measured:

    120  0.993 0.41  0.993 0.64  0.994 2.4
    160  0.997 0.48  0.996 0.68  0.996 3.0
    200  0.998 0.67  0.998 0.84  0.997 3.6

Of 539 questions on four libraries of 20,000 to 153,000 segments the first ten are the same with 120 as with
160. In four times the root of the segments shorter lists, one in 4: 0.995 0.51  0.988 1.03  0.999 6.3."""

_LISTED = 400
"""Codes in a list. In shorter ones faiss spends its time between them; above 2.5 million segments there
are too many of them to make."""

_WITHIN = 2 / 3
"""The share of the lists at least where only a part of the library is looked at: its nearest are spread
wider. recall@10 in eight parts of each of the first two libraries, 5,000 to 107,000 segments, is 0.991 to
1.000; of half of the lists from 0.984."""

ROUGH = 400
"""Segments found by codes at least, of which the nearest are told by the columns. Where 195 or 560 copies
of each segment lie at a cosine of 0.93 around it the 10 nearest are among them in 0.998 and 0.986."""

_LIST_BY_LIST = 11
"""Of the ways that faiss has the fastest for one question: 1.1 ms against 1.5 for the one that it chooses,
with cold caches, among 153,000 segments in four times as many lists; of 400 found 397 at least are the
same."""

_ROUNDS = 4  # of training the lists: 10 find no more
_TRAINED = 8_000  # vectors on which lists and codes are trained: see ``_sample``
_CHECKED = 1_000  # vectors looked for by ``agrees``
_FOUND = 0.95
_APART = 1e-3  # cosine, where a vector is rounded
_ALL = "SELECT vector FROM segments ORDER BY id"


@dataclass(frozen=True, slots=True)
class Index:
    """A FAISS index over the vectors of a library. Thread-safe."""

    faiss: Any

    def __post_init__(self) -> None:
        """Choose how lists of codes are looked through."""
        if not self._flat:
            self.faiss.implem = _LIST_BY_LIST

    def __len__(self) -> int:
        """Return the number of vectors."""
        return int(self.faiss.ntotal)

    @classmethod
    def of_rows(cls, connection: sqlite3.Connection, dim: int) -> Self:
        """Make the index that suits the number of segments."""
        (count,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        index = _empty(count, dim)
        if not index.is_trained:
            step = max(1, count // _sample(count))
            sql = f"SELECT vector FROM segments WHERE id % {step} = 0 ORDER BY id"
            index.train(np.concatenate(list(vectors_of(connection, sql, dim))))
        for rows in vectors_of(connection, _ALL, dim):
            index.add(rows)
        return cls(index)

    @classmethod
    def of_data(cls, data: bytes) -> Self:
        """Read an index as ``data`` gave it."""
        import faiss

        return cls(faiss.deserialize_index(np.frombuffer(data, np.uint8)))

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Map the file of an index: what faiss can map of it is read by many processes once."""
        import faiss

        return cls(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC))

    def data(self) -> bytes:
        """Return the index as a file."""
        import faiss

        written: bytes = faiss.serialize_index(self.faiss).tobytes()
        return written

    def grown(self, connection: sqlite3.Connection, last: int) -> Self | None:
        """Add the vectors of the segments with ids above ``last``; None if another kind suits better."""
        (count,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        wanted = _empty(count, self.faiss.d)
        if type(wanted) is not type(self.faiss):
            return None
        lists, suiting = (getattr(index, "nlist", 1) for index in (self.faiss, wanted))
        if max(lists, suiting) > 2 * min(lists, suiting):
            return None
        sql = f"SELECT vector FROM segments WHERE id > {last} ORDER BY id"
        for rows in vectors_of(connection, sql, self.faiss.d):
            self.faiss.add(rows)
        return self

    @property
    def _flat(self) -> bool:
        import faiss

        return isinstance(self.faiss, faiss.IndexFlat)

    def nearest(self, questions: Vectors, limit: int, among: Mask | None = None) -> Positions:
        """Return the places of the nearest vectors to float32 [n, dim].

        int64 [n, limit], nearest first, -1 where there are no more; where the index holds codes,
        more than ``limit``, by which it is not sure of their order. ``among`` which to look at.
        """
        import faiss

        limit = min(limit if self._flat else max(2 * limit, ROUGH), self.faiss.ntotal)
        if not limit:
            return np.empty((len(questions), 0), np.int64)
        given: dict[str, Any] = {}
        if among is not None:
            bits = np.packbits(among, bitorder="little")
            given["sel"] = faiss.IDSelectorBitmap(len(among), faiss.swig_ptr(bits))
        parameters: Any = faiss.SearchParameters
        if not self._flat:
            parameters = faiss.SearchParametersIVF
            share = min(1.0, LOOKED_AT / len(self) ** 0.5)
            share = share if among is None else max(share, _WITHIN)
            given["nprobe"] = max(1, round(self.faiss.nlist * share))
        with _one_thread() if len(questions) == 1 else nullcontext():
            asked = np.ascontiguousarray(questions)
            places: Positions = self.faiss.search(asked, limit, params=parameters(**given))[1]
        return places

    def agrees(self, columns: Columns) -> bool:
        """Whether it is of the vectors of these columns: as many, and those that are looked for are found.

        Looks for 1,000 of them at most; codes may lose a few among many that are nearly the same.
        """
        if len(columns.vectors) != len(self):
            return False
        places = np.linspace(0, len(self) - 1, min(len(self), _CHECKED)).astype(np.int64)
        asked = columns.vectors[places] * columns.scales[places, None]
        near = [
            columns.cosines(vector, found[found >= 0]).max(initial=-1) > 1 - _APART
            for vector, found in zip(asked, self.nearest(asked, 10), strict=True)
        ]
        return not near or float(np.mean(near)) >= (1 if self._flat else _FOUND)


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


def _empty(count: int, dim: int) -> Any:
    import faiss

    if count <= FLAT:
        return faiss.IndexFlatIP(dim)
    together = 1 if dim % 2 else 2  # numbers in a code of 4 bits
    index = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(dim), dim, _lists(count), dim // together, 4, faiss.METRIC_INNER_PRODUCT
    )
    index.by_residual = False
    index.cp.niter, index.cp.min_points_per_centroid = _ROUNDS, 1
    return index


def _lists(count: int) -> int:
    return max(1, min(count // _LISTED, int(4 * count**0.5)))


def _sample(count: int) -> int:
    """Return how many vectors to train on, where there are as many.

    40 a list find no more than 16, and take three times; fewer than 8,000 in all find 0.994 of the
    nearest instead of 0.996 among 153,000.
    """
    return max(16 * _lists(count), _TRAINED)
