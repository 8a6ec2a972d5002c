"""What the machine can do: products of matrices, and reading memory; and what the work asks for."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from index.e5 import DIM, LAYERS
from tests.benchmarks.process import Clock

_WIDE = 4 * DIM  # of the feed-forward layer
_SIDE = 1536  # of the square matrices: far beyond the caches' need, and quick
_READ = 2**30  # bytes, many times the last cache


def encoder_flops(tokens: float, squares: float) -> float:
    """Return the floating-point operations of the encoder, a multiplication and an addition being two.

    ``tokens`` are all that it runs, ``squares`` the sum of the squared lengths of the texts. In each
    layer a token passes four matrices [dim, dim] and two [dim, 4 dim]; attention multiplies each
    token with each of its text, twice.
    """
    linear = 2 * (4 * DIM * DIM + 2 * DIM * _WIDE) * tokens
    return LAYERS * (linear + 4 * DIM * squares)


def measure(clock: Clock, threads: int) -> dict[str, float]:
    """Return the best of several tries on a number of threads, in units of 1e9 a second.

    ``float32`` and ``int8`` operations in large products, by numpy's BLAS and by ONNX Runtime;
    bytes read of a large array. BLAS takes its threads from the environment.
    """
    return {"float32": _float32(), "int8": _int8(threads), "read": _read(threads)}


def _best(run: Callable[[], object], amount: float, tries: int = 7) -> float:
    run()
    seconds = []
    for _ in range(tries):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return amount / min(seconds) / 1e9


def _float32() -> float:
    a = np.random.default_rng(1).standard_normal((_SIDE, _SIDE), np.float32)
    return _best(lambda: a @ a, 2 * _SIDE**3)


def _int8(threads: int) -> float:
    """Measure MatMulInteger, the product of the 8-bit engine without scales."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(1)
    weights = chance.integers(-127, 127, (_SIDE, _SIDE), np.int8)
    given = helper.make_tensor_value_info("a", TensorProto.UINT8, [_SIDE, _SIDE])
    told = helper.make_tensor_value_info("y", TensorProto.INT32, [_SIDE, _SIDE])
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    graph = helper.make_graph(
        [node], "product", [given], [told], [numpy_helper.from_array(weights, "b")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    a = chance.integers(0, 255, (_SIDE, _SIDE), np.uint8)
    return _best(lambda: session.run(None, {"a": a}), 2 * _SIDE**3)


def _read(threads: int) -> float:
    parts = np.array_split(np.ones(_READ // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        return _best(lambda: list(pool.map(np.add.reduce, parts)), _READ)
