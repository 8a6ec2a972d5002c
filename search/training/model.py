"""The bundled model in torch, with a low-rank adapter to train.

Written out rather than taken from transformers and peft: on two cores with AVX-512, in bfloat16,
the adapter merged once a step instead of run beside every matrix, it learns from 4,100 tokens a
second; with these two it was 2,100, and 1,000 with their dropout.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from index.e5 import BEGIN, DIM, E5, END, HEADS, LAYERS, MATRICES, MAX_TOKENS, PAD, by_length

RANK = 24
_ALPHA = 2.0  # what the product of the adapter's matrices is multiplied by
_TOKENS = 4096  # that run together, padding included
_TYPE = torch.bfloat16 if "512" in torch.backends.cpu.get_cpu_capability() else torch.float32
"""What is computed in: bfloat16 is twice as fast as float32 with AVX-512, 34 times as slow without."""

Layers = list[dict[str, torch.Tensor]]


class Adapted(nn.Module):
    """The frozen model and its adapter, which begins as nothing or as what ``file`` holds."""

    def __init__(self, weights: E5, file: Path | None = None) -> None:
        super().__init__()
        self._weights = weights
        self._norm = _frozen(weights.vector("emb.ln.w")), _frozen(weights.vector("emb.ln.b"))
        self._layers = [
            {name: _frozen(tensor) for name, tensor in weights.layer(number).items()}
            for number in range(LAYERS)
        ]
        self.adapter = nn.ParameterDict()
        for number, layer in enumerate(self._layers):
            for name in MATRICES:
                rows, columns = layer[name].shape
                key = _key(number, name)
                self.adapter[key + "a"] = nn.Parameter(torch.randn(RANK, columns) / columns**0.5)
                self.adapter[key + "b"] = nn.Parameter(torch.zeros(rows, RANK))
        if file:
            held = load_file(file)
            for name, parameter in self.adapter.items():
                tensor = held[name.replace("_", ".")].float()
                parameter.data = tensor / _ALPHA if name.endswith("b") else tensor

    def merge(self) -> Layers:
        """Return the layers with the adapter in them; gradients flow to it."""
        merged = []
        for number, layer in enumerate(self._layers):
            tensors = dict(layer)
            for name in MATRICES:
                key = _key(number, name)
                change = _ALPHA * self.adapter[key + "b"] @ self.adapter[key + "a"]
                tensors[name] = layer[name] + change.to(_TYPE)
            tensors["qkv.w"] = torch.cat([tensors[f"{part}.w"] for part in "qkv"])
            tensors["qkv.b"] = torch.cat([tensors[f"{part}.b"] for part in "qkv"])
            merged.append(tensors)
        return merged

    def hidden(
        self, layers: Layers, rows: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last hidden states of token ids, float32 [n, longest, dim], and their mask."""
        longest = max(map(len, rows))
        ids = np.array([[*row, *[PAD] * (longest - len(row))] for row in rows], np.int64)
        lengths = torch.tensor([[len(row)] for row in rows])
        mask = torch.arange(longest)[None] < lengths
        n, deep = len(rows), DIM // HEADS
        hide = torch.where(mask, 0.0, -1e4).to(_TYPE)
        hide = hide[:, None, None].expand(n, HEADS, longest, longest).reshape(-1, longest, longest)
        x = torch.from_numpy(self._weights.embed(ids)).to(_TYPE)
        x = functional.layer_norm(x, (DIM,), *self._norm, self._weights.epsilon)
        for layer in layers:
            qkv = functional.linear(x, layer["qkv.w"], layer["qkv.b"])
            parts = qkv.view(n, longest, 3, HEADS, deep).permute(2, 0, 3, 1, 4)
            q, k, v = (part.reshape(n * HEADS, longest, deep) for part in parts)
            look = torch.baddbmm(hide, q, k.transpose(1, 2), alpha=deep**-0.5).softmax(-1)
            seen = torch.bmm(look, v).view(n, HEADS, longest, deep).transpose(1, 2)
            seen = functional.linear(seen.reshape(n, longest, DIM), layer["ao.w"], layer["ao.b"])
            x = self._sum(x, seen, layer, "aln")
            wide = functional.gelu(functional.linear(x, layer["fi.w"], layer["fi.b"]))
            x = self._sum(x, functional.linear(wide, layer["fo.w"], layer["fo.b"]), layer, "oln")
        return x.float(), mask

    def _sum(
        self, x: torch.Tensor, y: torch.Tensor, layer: dict[str, torch.Tensor], norm: str
    ) -> torch.Tensor:
        held = layer[f"{norm}.w"], layer[f"{norm}.b"]
        return functional.layer_norm(x + y, (DIM,), *held, self._weights.epsilon)

    def embed(self, layers: Layers, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return float32 [n, dim], unit length: the mean over the tokens of each text."""
        rows = [[BEGIN, *row[: MAX_TOKENS - 2], END] for row in tokens]
        parts, order = [], []
        for batch in by_length([len(row) for row in rows], _TOKENS):
            hidden, mask = self.hidden(layers, [rows[i] for i in batch])
            kept = mask[..., None].float()
            parts.append(functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1))
            order += batch
        return torch.cat(parts)[torch.argsort(torch.tensor(order))]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the adapter as ``E5.layer`` merges it: float16 lN.M.a [rank, in], .b [out, rank]."""
        return {
            name.replace("_", "."): (p.detach() * (_ALPHA if name.endswith("b") else 1)).half()
            for name, p in self.adapter.items()
        }


def save(tensors: dict[str, torch.Tensor], file: Path, notes: dict[str, str]) -> None:
    """Write tensors and notes on how they came about, whole or not at all."""
    part = file.with_suffix(".part")
    save_file(tensors, part, metadata=notes)
    part.replace(file)


def schedule(step: int, steps: int) -> float:
    """Return the share of the learning rate: up over a tenth of the steps, then down a cosine."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _key(number: int, name: str) -> str:
    return f"l{number}_{name.replace('.', '_')}_"  # a ParameterDict takes no dots


def _frozen(tensor: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.array(tensor)).to(_TYPE)
