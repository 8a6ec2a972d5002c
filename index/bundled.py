"""The bundled encoder: multilingual-e5-small with the adapter trained for official reports."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from index.e5 import BEGIN, DIM, END, MAX_TOKENS, Floats, by_length, load
from index.engine import kept, load_engine

ADAPTER = Path(__file__).with_name("retriever.safetensors")

_FORM = "8-bit blocks of 32, mean of tokens"  # vectors differ if this does
_TOKENS = 1024  # that run together, padding included


class BundledEncoder:
    """An ``Encoder`` without torch. Thread-safe.

    ``workers`` batches of passages are encoded at the same time, each on one thread: 23 segments a
    second where one batch on two threads gives 14, with both cores busy elsewhere as well.
    """

    dim = DIM

    def __init__(self, weights: Path, *, name: str, adapter: Path, workers: int) -> None:
        self.name = name
        self._workers = workers
        self._weights = load(weights)
        self.fingerprint = _fingerprint(weights, self._weights.signature, adapter.read_bytes())
        self._engine = load_engine(self._weights, adapter)

    def encode_query(self, text: str) -> Floats:
        """Return float32 [dim], unit length. On one thread: see ``Engine.hidden``."""
        vectors: Floats = self._embed([self._row("query: " + text)])[0]
        return vectors

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        """Return float32 [n, dim], unit length, in the order of the texts."""
        rows = [self._row("passage: " + text) for text in texts]
        vectors = np.empty((len(rows), DIM), np.float32)
        lengths = [len(row) for row in rows]
        batches = by_length(lengths, min(_TOKENS, sum(lengths) // self._workers + 1))
        with ThreadPoolExecutor(self._workers) as pool:
            embedded = pool.map(lambda batch: self._embed([rows[i] for i in batch]), batches)
            for batch, found in zip(batches, embedded, strict=True):
                vectors[batch] = found
        return vectors

    def _row(self, text: str) -> list[int]:
        return [BEGIN, *self._weights.tokens(text).ids[: MAX_TOKENS - 2], END]

    def _embed(self, rows: Sequence[Sequence[int]]) -> Floats:
        hidden = self._engine.hidden(rows, alone=True)
        lengths = np.array([[len(row)] for row in rows])
        kept = np.arange(hidden.shape[1])[None] < lengths
        sums = np.einsum("nld,nl->nd", hidden, kept.astype(np.float32))
        unit: Floats = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return unit


def _fingerprint(weights: Path, signature: str, adapter: bytes) -> str:
    """Return the hash of both files; that of the 71 MB is kept, it takes as long as ten questions."""

    def hashed() -> bytes:
        return hashlib.sha256(_FORM.encode() + weights.read_bytes() + adapter).digest()

    known = f"{_FORM} {signature} {hashlib.sha256(adapter).hexdigest()}"
    return kept(known, hashed).hex()
