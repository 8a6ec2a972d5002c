"""What every store of a library offers: SQLite with FAISS on one machine, Milvus on many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from index.columns import Scope
from index.encoder import Model, Vectors
from index.errors import ReportError
from index.types import Document, Passage, Report, Section

Outcome = Literal["新增", "更新", "未变"]
"""What adding a file did: a new report, a new version of one, nothing."""


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The ``Model`` that a library was made by, as it is recorded there."""

    name: str
    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A report ready to be put into a library.

    ``headings`` are all sections in order, ``vectors`` float32 [segments of all passages in order,
    dim], ``terms`` a list per passage, ``digests`` the same for passages that say the same.
    """

    document: Document
    passages: tuple[Passage, ...]
    headings: tuple[Section, ...]
    vectors: Vectors
    terms: tuple[tuple[str, ...], ...]
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A report of a library with the id by which it is removed; how many passages and pages it has.

    ``paths`` are the files that hold it, ``headings`` those of its first level; ``pages`` is 0 where
    the format has none.
    """

    id: int
    document: Report
    passages: int
    pages: int
    paths: tuple[str, ...]
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Passages that may answer, n of them in the order of the library.

    ``passages`` and ``documents`` are ids, int64 [n]; ``digests`` (``V16`` [n]) are the same for
    passages that say the same. ``cosines`` are those of their segments nearest to the question, float32
    [n], higher is nearer; ``bm25`` their scores for its terms, float64 [n].
    """

    passages: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    digests: npt.NDArray[np.void]
    cosines: Vectors
    bm25: npt.NDArray[np.float64]


class Store(Protocol):
    """A library opened for reading. Thread-safe; raises ``ReportError`` and nothing else."""

    @property
    def version(self) -> str:
        """What tells one state of one library from every other."""

    def is_newest(self) -> bool:
        """Whether nothing was added to the library or removed from it since it was opened."""

    @property
    def model(self) -> Model:
        """The encoder that the library was made by."""

    @property
    def probes(self) -> Vectors:
        """The vectors of the probe questions, float32 [n, dim]."""

    def probed(self) -> Vectors:
        """Return how near each probe question comes to anything: cosines float32 [n]."""

    def __len__(self) -> int:
        """Return the number of passages."""

    def entries(self) -> tuple[Entry, ...]:
        """Return the reports in the order they were added."""

    def document(self, id: int) -> Document:
        """Return a report with its text."""

    def headings(self, document: str) -> tuple[Section, ...]:
        """Return the sections of the document with this sha256 in order, run-in ones too."""

    def vectors(self, id: int) -> Vectors:
        """Return the vectors of the segments of a document in order, float32 [n, dim]."""

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

    def nearest(
        self, questions: Vectors, limit: int, scope: Scope | None = None
    ) -> list[list[tuple[int, float]]]:
        """Return for each row of float32 [n, dim] the nearest segments, best first.

        Each as (segment id, cosine); at most ``limit``, ties by id.
        """

    def holds_all(self, terms: Sequence[str], scope: Scope | None = None) -> bool:
        """Whether one passage holds all of the terms."""

    def lexical_best(
        self, terms: Sequence[str], limit: int, scope: Scope | None = None
    ) -> list[int]:
        """Return the ids of the passages that match the terms best by BM25, best first."""

    def rarities(self, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each term, above 0, as the store's BM25 has it."""

    def copies(self, digests: Sequence[bytes], scope: Scope | None = None) -> dict[int, bytes]:
        """Return all passages with one of these digests by id, in the order of the library."""

    def cosines(self, vector: Vectors, passage_ids: Sequence[int]) -> dict[int, Vectors]:
        """Return how near the segments of passages are to float32 [dim], in their order."""

    def passages(
        self, ids: Sequence[int] | None = None, *, document: str | None = None
    ) -> dict[int, Passage]:
        """Return passages by id: those named, or those of the document with this sha256."""

    def close(self) -> None:
        """Give back what is held open."""

    def __enter__(self) -> Self:
        """Return the library."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close it."""


class Writer(Protocol):
    """Puts reports into a library and takes them out, each whole or not at all.

    Raises ``ReportError`` and nothing else.
    """

    def version(self) -> str | None:
        """Return what tells one state of one library from every other; None where nothing is yet."""

    def create(self, model: Model, probes: Callable[[], Vectors]) -> None:
        """Make an empty library for the vectors of a model, if there is none.

        Raises ``ReportError`` if there is one of another format or model.
        """

    def holds(self, sha256: str) -> bool:
        """Whether the library has a document of these bytes."""

    def holder(self, path: Path) -> str | None:
        """Return the sha256 of the document that the file of this path held; None if it is not known."""

    def link(self, sha256: str, path: Path) -> Outcome | None:
        """Record that a file holds a document of the library; None if there is none of these bytes."""

    def write(self, prepared: Prepared, *, path: Path | None, model: Model) -> Outcome:
        """Add a document, in place of what the file at ``path`` held before."""

    def remove(self, id: int) -> Report:
        """Remove a document and return it. Raises ``ReportError`` if there is none of this id."""

    def publish(self) -> None:
        """Write what is derived from what was added, once after many."""


def ask_probes(store: Store) -> Vectors:
    """Return how near each probe question comes to anything in a store: cosines float32 [n]."""
    best = [found[0][1] if found else 0.0 for found in store.nearest(store.probes, 1)]
    return np.array(best, np.float32)


def check_model(where: object, made_by: Model, model: Model) -> None:
    """Raise ``ReportError`` unless a library was made by a model."""
    if made_by.fingerprint == model.fingerprint:
        return
    if made_by.name == model.name:
        raise ReportError(
            f"资料库“{where}”是用模型“{model.name}”的另一个版本建立的，向量不能比较，"
            "请删去它（或用 --library 另选一个）重新添加报告。"
        )
    raise ReportError(
        f"资料库“{where}”是用模型“{made_by.name}”建立的，与当前模型“{model.name}”的向量不能比较，"
        "请用 --library 另选一个重新添加报告，或改用原来的模型。"
    )
