"""The FAISS index: exact where the library is small, and as good as exact where it is not."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pytest

from index import Encoder, Library, add, derived, remove, store, vectors, verify
from index.columns import FILE as COLUMNS
from index.columns import Columns, Scope, unpack
from index.contract import Candidates
from index.database import DATABASE, reading
from index.encoder import Vectors
from index.library import publish
from index.probes import PROBES
from index.terms import terms
from index.vectors import Index
from search import pipeline, search
from tests.conftest import FakeEncoder

Write = Callable[..., Path]

DEV = Path(__file__).parents[2] / "shared" / "eval" / "zhengzhou-dev.jsonl"
SEED = 20261126
REPORTS = [f"{name}市人民政府关于2021年度工作的报告\n一、成效\n{name}受理案件 {n} 件。\n新建学校 {n + 1} 所。\n" for n, name in enumerate(("洛阳", "开封", "安阳"), 40)]  # fmt: skip


@pytest.fixture(scope="module")
def questions(encoder: Encoder) -> Vectors:
    """200 questions: on the report, and on anything else."""
    if not DEV.exists():
        pytest.skip("没有共用的问题集 ../shared/eval")
    asked = [json.loads(line)["query"] for line in DEV.read_text("utf-8").splitlines()]
    return np.stack([encoder.encode_query(question) for question in (*asked, *PROBES)][:200])


def grown(library: Path, count: int) -> tuple[sqlite3.Connection, Vectors]:
    """The vectors of a report, and such with noise, as the rows of a library."""
    rng = np.random.default_rng(SEED)
    with reading(library) as connection:
        blobs = [blob for (blob,) in connection.execute("SELECT vector FROM segments")]
    real = unpack(blobs, 384)
    noise = rng.normal(0, 0.02, (count, 384)).astype(np.float32)
    noise[: len(real)] = 0
    stored = np.resize(real, (count, 384)) + noise
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE segments (id INTEGER PRIMARY KEY, vector BLOB)")
    made.executemany("INSERT INTO segments (vector) VALUES (?)", ((v.tobytes(),) for v in stored))
    return made, stored


def recall(found: np.ndarray, stored: Vectors, questions: Vectors, limit: int = 10) -> float:
    """The share of the nearest that are found, where what is found is measured exactly."""
    shares = []
    for vector, places in zip(questions, found, strict=True):
        exact = stored @ vector
        least = np.partition(exact, -limit)[-limit]
        best = np.sort(exact[places[places >= 0]])[::-1][:limit]
        shares.append(float((best >= least).sum()) / limit)
    return float(np.mean(shares))


@pytest.mark.parametrize("count", [vectors.FLAT // 2, 2 * vectors.FLAT, 30_000, 70_000])
def test_7_an_index_of_any_size_finds_the_nearest(
    real: Path, questions: Vectors, count: int
) -> None:
    connection, stored = grown(real, count)
    places = Index.of_rows(connection, 384).nearest(questions, 10)
    assert recall(places, stored, questions) >= 0.99


@pytest.mark.parametrize("count", [15_000, 30_000, 70_000])
def test_7_an_index_of_any_size_finds_the_nearest_of_a_part(
    real: Path, questions: Vectors, count: int
) -> None:
    connection, stored = grown(real, count)
    among = np.random.default_rng(SEED).random(count) < 0.4
    places = Index.of_rows(connection, 384).nearest(questions, 10, among)
    assert among[places[places >= 0]].all()
    inside = np.where(places < 0, -1, np.cumsum(among)[places] - 1)
    assert recall(inside, stored[among], questions) >= 0.99


@pytest.fixture
def large(library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library whose index is of the kind for many segments."""
    monkeypatch.setattr(vectors, "FLAT", 50)
    monkeypatch.setattr(store, "FLAT", 50)
    monkeypatch.setattr(vectors, "_LISTED", 10)
    monkeypatch.setattr(vectors, "LOOKED_AT", 10**9)  # every list
    (library / vectors.FILE).unlink()
    publish(library)
    return library


def told(library: Path, question: str) -> list[tuple[str, float]]:
    return [(hit.text, round(hit.score, 5)) for hit in search(question, library=library, top_k=9)]


def test_an_index_of_codes_gives_the_nearest_the_same_cosines(
    large: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector, wanted = fake.encode_query("行政复议受理了多少件"), terms("行政复议受理了多少件")
    with Library.open(large) as opened:
        assert not isinstance(opened._index.faiss, faiss.IndexFlat)
        coarse = _candidates(opened, vector, wanted)
        near = opened.nearest(vector[None], 10)
        looked_at = opened.cosines(vector, range(1, 35))
    monkeypatch.undo()
    (large / vectors.FILE).unlink()
    with Library.open(large) as opened:
        assert isinstance(opened._index.faiss, faiss.IndexFlat)
        for found, expected in zip(
            astuple(coarse), astuple(_candidates(opened, vector, wanted)), strict=True
        ):
            assert found == pytest.approx(expected)
        assert near[0] == [pytest.approx(each) for each in opened.nearest(vector[None], 10)[0]]
        stored = opened.vectors(1) @ vector
    np.testing.assert_allclose(np.concatenate(list(looked_at.values())), stored, atol=5e-5)


def _candidates(opened: Library, vector: Vectors, wanted: list[str]) -> Candidates:
    return opened.candidates(vector, wanted, near=40, lexical=20)


@pytest.mark.parametrize("count", [3, 5, 7, 60])
def test_copies_of_a_text_are_shown_in_the_order_of_the_library(
    write: Write, tmp_path: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(vectors, "FLAT", 50)
    folder = tmp_path / "copies"
    for number in range(count):
        text = (
            f"甲市人民政府关于{1950 + number}年度工作的报告\n全年受理行政复议案件41件，全部办结。\n"
        )
        add(write(text, f"{number:02}.md"), folder, encoder=fake)
    for question in ("行政复议案件受理多少", "全部办结的有多少件", "复议"):
        first = search(question, library=folder)[0]
        assert first.passage.document.name == "00.md"
        assert len(first.also) == count - 1


def test_files_of_the_release_before_are_made_anew_and_not_called_wrong(library: Path) -> None:
    expected = told(library, "行政复议受理了多少件")
    with sqlite3.connect(library / DATABASE) as connection:
        for name in derived.FILES:
            data = b"of another layout"
            (library / name).write_bytes(data)
            hashed = hashlib.sha256(data).hexdigest()
            sql = "INSERT INTO meta VALUES (?, '1 ' || ? || ' ' || ?)"
            connection.execute(sql, (name, hashed, hashed))
            connection.execute("DELETE FROM meta WHERE key = ? || ' 2'", (name,))
    pipeline._opened.clear()
    assert (verify(library), told(library, "行政复议受理了多少件")) == ([], expected)
    publish(library)
    assert (library / COLUMNS).read_bytes() != b"of another layout"


def test_what_is_added_joins_the_index_that_is_there(
    large: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Index, "of_rows", lambda *_: pytest.fail("made anew"))
        for number, text in enumerate(REPORTS):
            assert add(write(text, f"{number}.md"), large, encoder=fake) == "新增"
    assert verify(large) == []
    grown = told(large, "开封受理了多少案件")
    assert "41 件" in grown[0][0]
    (large / vectors.FILE).unlink()
    publish(large)
    assert told(large, "开封受理了多少案件")[0][0] == grown[0][0]


@pytest.mark.parametrize(("listed", "anew"), [(4, 1), (8, 0), (15, 0), (25, 1)])
def test_an_index_of_far_more_or_fewer_lists_than_suit_is_made_anew(
    large: Path,
    write: Write,
    fake: FakeEncoder,
    monkeypatch: pytest.MonkeyPatch,
    listed: int,
    anew: int,
) -> None:
    made = []
    of_rows = Index.of_rows
    monkeypatch.setattr(vectors, "_LISTED", listed)
    monkeypatch.setattr(Index, "of_rows", lambda *given: made.append(given) or of_rows(*given))
    add(write(REPORTS[0]), large, encoder=fake)
    assert (len(made), verify(large)) == (anew, [])


def test_what_is_removed_is_not_in_the_index(large: Path, write: Write, fake: FakeEncoder) -> None:
    add(write(REPORTS[0]), large, encoder=fake)
    remove(large, 1)
    publish(large)
    assert verify(large) == []
    with Library.open(large) as opened:
        assert opened._index.faiss.ntotal == len(opened._columns.segments) < 20


def test_few_passages_among_many_are_all_looked_at(
    large: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_WITHIN", 0)
    monkeypatch.setattr(vectors, "LOOKED_AT", 0)  # one list
    add(write(REPORTS[0]), large, encoder=fake)
    vector = fake.encode_query("受理案件多少件")
    with Library.open(large) as opened:
        inside = opened.nearest(vector[None], 100, Scope((2,)))[0]
        sql = "SELECT count(*) FROM segments s JOIN passages p ON p.id = passage_id WHERE document_id = 2"
        assert opened._connection.execute(sql).fetchone() == (len(inside),)


@pytest.mark.parametrize("flat", [50, 20])  # the part has 34 passages, and 379 segments
def test_of_a_part_of_many_segments_nothing_beside_it_is_found(
    large: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, flat: int
) -> None:
    monkeypatch.setattr(store, "FLAT", flat)
    add(write(REPORTS[0]), large, encoder=fake)
    vector, wanted = fake.encode_query("洛阳受理案件多少件"), terms("洛阳受理案件多少件")
    with Library.open(large) as opened:
        columns = opened._columns
        inside = np.flatnonzero((columns.documents == 1)[columns.owners])
        assert opened._few(columns.documents == 1) is None
        everywhere = opened.nearest(vector[None], 5)[0]
        best = opened.nearest(vector[None], 5, Scope((1,)))[0]
        exact = np.sort(columns.cosines(vector, inside))[::-1][:5]
        assert [near for _, near in best] == pytest.approx(exact.tolist())
        assert best != everywhere
        assert {id for id, _ in best} <= set(columns.segments[inside].tolist())
        found = opened.candidates(vector, wanted, near=200, lexical=30, scope=Scope((1,)))
        assert set(found.documents.tolist()) == {1}


@pytest.mark.parametrize("name", [vectors.FILE, COLUMNS])
def test_a_file_too_large_to_hash_is_mapped_and_known_by_its_ends(
    library: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    expected = told(library, "行政复议受理了多少件")
    monkeypatch.setattr(derived, "LARGE", 100)
    monkeypatch.setattr(derived, "_END", 64)
    for file in derived.FILES:
        (library / file).unlink()
    publish(library)
    read: list[str] = []

    def reading(file: Path, was: Callable[[Path], object]) -> object:
        read.append(file.name)
        return was(file)

    for kind in (Index, Columns):
        monkeypatch.setattr(kind, "of_file", partial(reading, was=kind.of_file))
    pipeline._opened.clear()
    assert told(library, "行政复议受理了多少件") == expected
    assert read == list(derived.FILES)
    pipeline._opened.clear()
    data = bytearray((library / name).read_bytes())
    data[-1] ^= 1
    (library / name).unlink()  # what is mapped is not written into
    (library / name).write_bytes(data)
    read.clear()
    assert told(library, "行政复议受理了多少件") == expected
    assert read == [other for other in derived.FILES if other != name]
    assert any(sentence.startswith(name) for sentence in verify(library))
