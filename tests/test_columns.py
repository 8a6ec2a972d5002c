"""The columns that search scans: the same as SQLite says, and the same from their file."""

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index import Library, add, remove
from index.changes import FolderWriter
from index.columns import FILE, Columns, Scope
from index.database import DATABASE, reading
from index.store import Library as Store
from index.terms import terms
from tests.conftest import FakeEncoder

QUESTIONS = (
    "行政复议受理了多少件？", "12,644条信息，二十一点八四亿余条", "the 2019 report", "没有的字龘龖", "",
)  # fmt: skip
OTHER = "洛阳市人民政府关于2021年度工作的报告\n一、成效\n全年受理行政复议案件 41 件。\n二、不足\n人手不够。\n"


@pytest.fixture
def rows(library: Path) -> Iterator[sqlite3.Connection]:
    with reading(library) as connection:
        yield connection


@pytest.fixture
def two(library: Path, tmp_path: Path, fake: FakeEncoder) -> Iterator[Store]:
    file = tmp_path / "other.md"
    file.write_text(OTHER, "utf-8")
    add(file, library, encoder=fake)
    with Library.open(library) as opened:
        yield opened


@pytest.mark.parametrize("question", QUESTIONS)
def test_bm25_is_that_of_fts5(rows: sqlite3.Connection, question: str) -> None:
    columns, wanted = Columns.of_rows(rows, 256), list(dict.fromkeys(terms(question)))
    sql = "SELECT rowid, -bm25(lexicon) FROM lexicon WHERE lexicon MATCH ?"
    matched = " OR ".join(f'"{term}"' for term in wanted)
    expected = dict(rows.execute(sql, (matched,)).fetchall()) if wanted else {}
    found = columns.bm25(columns.postings_of(wanted))
    assert dict(zip(columns.passages.tolist(), found, strict=True)) == pytest.approx(
        {id: expected.get(id, 0.0) for id in columns.passages.tolist()}, abs=1e-5
    )


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_passages_that_hold_all_terms_are_those_of_fts5(
    rows: sqlite3.Connection, question: str
) -> None:
    columns, wanted = Columns.of_rows(rows, 256), terms(question)
    for some in (wanted[:1], wanted[:2], wanted):
        sql = "SELECT rowid FROM lexicon WHERE lexicon MATCH ? ORDER BY rowid"
        matched = " AND ".join(f'"{term}"' for term in some)
        expected = [id for (id,) in rows.execute(sql, (matched,))] if some else []
        assert columns.passages[columns.holding(columns.postings_of(some))].tolist() == expected


def test_a_term_in_fewer_passages_is_rarer(rows: sqlite3.Connection) -> None:
    (total,) = rows.execute("SELECT count(*) FROM passages").fetchone()
    columns, wanted = Columns.of_rows(rows, 256), [*terms(QUESTIONS[0]), "龘龖"]
    for term, rarity in zip(wanted, map(columns.rarity, columns.postings_of(wanted)), strict=True):
        found = rows.execute("SELECT doc FROM lexicon_terms WHERE term = ?", (term,)).fetchone()
        held = found[0] if found else 0
        assert rarity == pytest.approx(max(math.log((total - held + 0.5) / (held + 0.5)), 1e-6))


def test_a_segment_is_its_passages(rows: sqlite3.Connection) -> None:
    columns = Columns.of_rows(rows, 256)
    sql = "SELECT id, passage_id FROM segments ORDER BY id"
    owners = columns.passages[columns.owners].tolist()
    assert list(zip(columns.segments.tolist(), owners, strict=True)) == rows.execute(sql).fetchall()
    for place in (0, 7, len(columns.passages) - 1):
        found, _ = columns.segments_of(np.array([place]))
        assert found.tolist() == np.flatnonzero(columns.owners == place).tolist()


@pytest.mark.parametrize("mapped", [False, True])
def test_the_file_holds_the_same_columns(
    library: Path, rows: sqlite3.Connection, mapped: bool
) -> None:
    file = library / FILE
    read = Columns.of_file(file) if mapped else Columns.of_data(file.read_bytes())
    expected = Columns.of_rows(rows, 256)
    for name in Columns.__slots__:
        assert getattr(read, name).dtype == getattr(expected, name).dtype
        assert getattr(read, name).tolist() == getattr(expected, name).tolist()


@pytest.mark.parametrize(
    ("scope", "where"),
    [
        (Scope((2,), None), "document_id = 2"),
        (Scope(None, ("不足", "计划")), "kind IN ('不足', '计划')"),
        (Scope((1,), ("不足",)), "document_id = 1 AND kind = '不足'"),
        (Scope((), None), "0"),
    ],
)
def test_a_scope_holds_its_passages_and_only_these(two: Store, scope: Scope, where: str) -> None:
    sql = f"SELECT id FROM passages WHERE {where} ORDER BY id"
    inside = [id for (id,) in two._connection.execute(sql)]
    mask = two._columns.within(scope)
    assert mask is not None and two._columns.passages[mask].tolist() == inside
    vector = two.probes[0]
    found = two.candidates(vector, terms("行政复议案件不足"), near=1000, lexical=1000, scope=scope)
    assert set(found.passages.tolist()) <= set(inside)
    sql = "SELECT DISTINCT passage_id FROM segments ORDER BY 1"
    with_segments = {id for (id,) in two._connection.execute(sql)}
    assert found.passages.tolist() == sorted(set(inside) & with_segments)


def test_the_passages_of_a_report_stand_together_whatever_was_removed(
    library: Path, tmp_path: Path, fake: FakeEncoder
) -> None:
    def write(number: int) -> None:
        file = tmp_path / f"{number}.md"
        file.write_text(f"甲市人民政府关于202{number}年度工作的报告\n{OTHER}", "utf-8")
        add(file, library, encoder=fake)

    for number in (1, 2, 3):
        write(number)
    for id in (2, 4):
        remove(library, id)
    (tmp_path / "1.md").unlink()
    write(1)
    with Library.open(library) as opened:
        columns = opened._columns
        assert sorted(set(columns.documents.tolist())) == [1, 3, 5]
        assert (np.diff(columns.documents) >= 0).all()
        for wanted in ((5, 1, 1), (9, 3), (2,), (5, 3, 1)):
            mask = columns.within(Scope(wanted))
            assert mask is not None
            assert mask.tolist() == np.isin(columns.documents, wanted).tolist()


def test_an_empty_library_has_empty_columns(tmp_path: Path, fake: FakeEncoder) -> None:
    FolderWriter(tmp_path).create(fake, lambda: fake.encode_passages(["问"]))
    with reading(tmp_path) as connection:
        columns = Columns.of_rows(connection, fake.dim)
    assert columns.bm25(columns.postings_of(["行政"])).tolist() == []
    read = Columns.of_data(columns.data())
    assert read.holding(read.postings_of(["行政"])).tolist() == []
    assert (tmp_path / DATABASE).is_file()
