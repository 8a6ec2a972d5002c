"""The library on disk: what it keeps, what it refuses, what it survives."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from index import (
    Library,
    ReportError,
    add,
    derived,
    passages,
    read,
    remove,
    store,
    vectors,
    verify,
)
from index.columns import unpack
from index.database import DATABASE, SEAL, newest, writing
from index.library import open_library, publish
from index.outline import outline
from search import pipeline, search
from tests.conftest import REPORT, FakeEncoder

Write = Callable[..., Path]
OTHER = "洛阳市人民政府关于2021年度工作的报告\n一、成效\n全年受理行政复议案件 41 件，全部办结。\n"


def answers(library: Path, question: str = "行政复议受理了多少件") -> list[tuple[str, float]]:
    return [(hit.text, hit.score) for hit in search(question, library=library)]


def test_what_is_read_back_is_what_was_put_in(opened: Library) -> None:
    document = read(REPORT)
    (entry,) = opened.entries()
    assert opened.document(entry.id) == document
    assert (entry.document.title, entry.document.date) == (document.title, document.date)
    assert (entry.passages, entry.pages, entry.paths) == (34, 0, (str(REPORT),))
    assert tuple(opened.passages(document=document.sha256).values()) == passages(document)


def test_opening_a_built_library_encodes_nothing(library: Path, fake: FakeEncoder) -> None:
    before = fake.encoded
    Library.open(library).close()
    assert fake.encoded == before


def test_unchanged_bytes_are_added_once_and_not_encoded_again(
    library: Path, fake: FakeEncoder
) -> None:
    before = fake.encoded
    assert (add(REPORT, library, encoder=fake), fake.encoded) == ("未变", before)


def test_the_faiss_index_is_exact(opened: Library, fake: FakeEncoder) -> None:
    question = fake.encode_query("行政复议")
    rows = opened._connection.execute("SELECT id, vector FROM segments ORDER BY id").fetchall()
    stored = unpack((blob for _, blob in rows), fake.dim)
    exact = dict(zip((id for id, _ in rows), stored @ question, strict=True))
    found = dict(opened.nearest(question[None], 10)[0])
    assert list(found.values()) == sorted(found.values(), reverse=True)
    best = sorted(exact.values(), reverse=True)[:10]
    np.testing.assert_allclose(list(found.values()), best, atol=5e-5)
    np.testing.assert_allclose(list(found.values()), [exact[id] for id in found], atol=5e-5)


def test_more_neighbours_than_there_are_gives_all_and_no_padding(
    opened: Library, fake: FakeEncoder
) -> None:
    found = opened.nearest(fake.encode_query("问")[None], 10**6)[0]
    assert len({id for id, _ in found if id > 0}) == len(found) == opened._index.faiss.ntotal


@pytest.mark.parametrize("damage", ["delete", "empty", "truncate", "flip", "swap"])
def test_a_damaged_faiss_file_is_rebuilt_with_the_same_hits(
    library: Path, tmp_path: Path, fake: FakeEncoder, write: Write, damage: str
) -> None:
    expected = answers(library)
    file = library / vectors.FILE
    data = bytearray(file.read_bytes())
    if damage == "delete":
        file.unlink()
    elif damage == "swap":
        other = tmp_path / "other"
        add(write(OTHER), other, encoder=fake)
        file.write_bytes((other / vectors.FILE).read_bytes())
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes({"empty": b"", "truncate": data[:-100], "flip": data}[damage])
    before = fake.encoded
    assert verify(library) != []
    search_again = Library.open(library)
    found = search_again.nearest(fake.encode_query("行政复议受理了多少件")[None], 5)
    search_again.close()
    assert fake.encoded == before + 1
    publish(library)
    assert (verify(library), answers(library)) == ([], expected)
    assert len(found[0]) == 5


@pytest.mark.parametrize("data", [b"not a database at all, but long enough" * 9, b""])
def test_a_damaged_database_is_refused_by_name(library: Path, data: bytes) -> None:
    for suffix in ("", "-wal", "-shm"):
        (library / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    (library / DATABASE).write_bytes(data)
    with pytest.raises(ReportError, match=r"library\.db"):
        search("行政复议", library=library)


def test_a_missing_library_is_refused_with_what_to_run(tmp_path: Path, fake: FakeEncoder) -> None:
    with pytest.raises(ReportError, match=r"python -m index .* add"):
        search("行政复议", library=tmp_path / "none")


@pytest.mark.parametrize("number", [1, 3])
def test_another_format_is_refused(library: Path, number: int) -> None:
    with sqlite3.connect(library / DATABASE) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (number,))
    with pytest.raises(ReportError, match=f"格式 {number}，本程序需要格式 2"):
        Library.open(library)


def test_another_encoder_is_refused_and_changes_nothing(library: Path, write: Write) -> None:
    with pytest.raises(ReportError, match="other"):
        add(write(OTHER), library, encoder=FakeEncoder("other"))
    assert verify(library) == []
    with Library.open(library) as opened:
        assert len(opened.entries()) == 1


def test_a_bad_file_leaves_the_library_as_it_was(
    library: Path, write: Write, fake: FakeEncoder
) -> None:
    expected = answers(library)
    with pytest.raises(ReportError, match="是空的"):
        add(write(b""), library, encoder=fake)
    assert (verify(library), answers(library)) == ([], expected)


def test_a_failure_in_the_middle_of_writing_undoes_it(
    library: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(library)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("index.changes.set_facts", fail)
        with pytest.raises(ReportError, match="磁盘已满"):
            add(write(OTHER), library, encoder=fake)
    assert (verify(library), answers(library)) == ([], expected)
    assert add(write(OTHER), library, encoder=fake)
    assert verify(library) == []


def test_a_failure_to_publish_loses_nothing(
    library: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("index.derived._made", fail)
        assert add(write(OTHER), library, encoder=fake)
    assert "41 件" in answers(library, "洛阳市受理行政复议案件多少件")[0][0]
    publish(library)
    assert verify(library) == []


def test_a_library_made_anew_in_the_same_folder_is_opened_anew(
    library: Path, write: Write, fake: FakeEncoder
) -> None:
    answers(library)
    shutil.rmtree(library)
    add(write(OTHER), library, encoder=fake)
    assert "41 件" in answers(library, "受理行政复议案件多少件")[0][0]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE documents SET fields = 'x'",
        "UPDATE documents SET date = 'x'",
        "UPDATE documents SET text = replace(text, '957', '958')",
        "DELETE FROM meta WHERE key = 'library'",
        "UPDATE passages SET spans = 'x'",
        "UPDATE segments SET vector = x'00'",
        "DELETE FROM segments WHERE id = (SELECT max(id) FROM segments WHERE passage_id = 15)",
        "UPDATE meta SET value = x'00' WHERE key = 'probed'",
        "DELETE FROM meta WHERE key = 'fingerprint'",
    ],
)
def test_a_damaged_row_is_one_sentence(library: Path, sql: str) -> None:
    with sqlite3.connect(library / DATABASE) as connection:
        connection.execute(sql)
    (library / vectors.FILE).unlink()
    with pytest.raises(ReportError, match="已损坏"):
        answers(library)


@pytest.mark.skipif(os.name != "posix", reason="Windows 没有命名管道")
def test_a_pipe_in_place_of_the_seal_is_not_waited_for(library: Path) -> None:
    expected = answers(library)
    (library / SEAL).unlink()
    os.mkfifo(library / SEAL)
    pipeline._opened.clear()
    assert answers(library) == expected


@pytest.mark.parametrize("name", derived.FILES)
def test_a_folder_in_place_of_a_derived_file_keeps_no_other_from_being_written(
    library: Path, write: Write, fake: FakeEncoder, name: str
) -> None:
    (library / name).unlink()
    (library / name).mkdir()
    add(write(OTHER), library, encoder=fake)
    assert "41 件" in answers(library, "洛阳市受理行政复议案件多少件")[0][0]
    assert {SEAL, *derived.FILES} <= {file.name for file in library.iterdir()}
    assert not [file for file in library.iterdir() if file.suffix == ".tmp"]
    assert "文件夹" in verify(library)[0]
    (library / name).rmdir()
    publish(library)
    assert verify(library) == []


def test_how_near_the_probes_come_is_kept_with_each_generation(
    library: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (None, OTHER):
        if text:
            add(write(text), library, encoder=fake)
        with Library.open(library) as opened:
            best = [found[0][1] for found in opened.nearest(opened.probes, 1)]
            with monkeypatch.context() as patch:
                patch.setattr(Library, "nearest", lambda *_: pytest.fail("asked again"))
                assert opened.probed().tolist() == pytest.approx(best)
    with sqlite3.connect(library / DATABASE) as connection:
        connection.execute("DELETE FROM meta WHERE key IN ('probed', 'probed_at')")
    with Library.open(library) as opened:  # of a release before
        assert opened.probed().tolist() == best


def test_a_writer_that_was_overtaken_makes_nothing_anew(
    library: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing = derived.publish

    def overtaken(folder: Path) -> None:
        monkeypatch.setattr(derived, "publish", lambda _: None)
        add(write(OTHER), library, encoder=fake)
        monkeypatch.setattr(Library, "open", lambda _: pytest.fail("opened"))

    monkeypatch.setattr(derived, "publish", overtaken)
    publish(library)
    monkeypatch.undo()
    assert publishing is derived.publish
    publish(library)
    assert verify(library) == []


def test_passages_are_kept_and_come_in_the_order_of_the_library_whatever_was_asked_before(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library.open(library) as opened:
        expected = opened.passages([3, 5, 7, 9])
        opened.passages([9])
    monkeypatch.setattr(store, "_HELD", 3)
    with Library.open(library) as opened:
        opened.passages([9])
        assert list(opened.passages([9, 5, 3, 5]).items()) == [
            (id, expected[id]) for id in (3, 5, 9)
        ]
        opened.passages([5])  # so that it is not the one to go
        opened.passages([7])
        assert len(opened._held) == 3 and {5, 7} <= opened._held.keys()
        monkeypatch.setattr(opened, "_rows", lambda *_: pytest.fail("read again"))
        assert opened.passages([7, 5]) == {id: expected[id] for id in (5, 7)}


def test_every_section_is_kept_with_its_place(opened: Library) -> None:
    document = read(REPORT)
    kept = opened.headings(document.sha256)
    assert kept == tuple(part.section for part in outline(document) if part.heading)


def test_a_reader_keeps_the_generation_it_opened(
    library: Path, write: Write, fake: FakeEncoder
) -> None:
    with Library.open(library) as reader:
        add(write(OTHER), library, encoder=fake)
        assert (len(reader.entries()), len(reader)) == (1, 34)


def test_search_sees_what_was_added_since(library: Path, write: Write, fake: FakeEncoder) -> None:
    answers(library)
    add(write(OTHER), library, encoder=fake)
    assert "41 件" in answers(library, "洛阳市受理行政复议案件多少件")[0][0]


def test_a_library_is_opened_again_only_when_its_files_have_changed(
    library: Path, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(store, "newest", lambda folder: asked.append(folder) or newest(folder))
    with Library.open(library) as reader:
        assert reader.is_newest() and reader.is_newest() and len(asked) == 1
        # As who writes does first: what he has written may not be seen yet.
        (library / SEAL).unlink()
        assert reader.is_newest() and reader.is_newest() and len(asked) == 3
        add(write(OTHER), library, encoder=fake)
        assert not reader.is_newest()
    with Library.open(library) as reader:
        assert reader.is_newest()
        remove(library, reader.entries()[0].id)
        assert not reader.is_newest()
        shutil.rmtree(library)
        assert not reader.is_newest()


@pytest.mark.parametrize("put", [shutil.copy, shutil.copy2, os.replace])
def test_another_library_in_the_place_of_an_open_one_is_noticed(
    library: Path, tmp_path: Path, write: Write, fake: FakeEncoder, put: Callable[..., Any]
) -> None:
    add(write(OTHER), tmp_path / "other", encoder=fake)
    expected = answers(tmp_path / "other")
    pipeline._opened.clear()
    assert answers(library) != expected
    assert answers(library) != expected  # looks at the files only
    for file in sorted((tmp_path / "other").iterdir()):
        put(file, library / file.name)
    assert answers(library) == expected


def test_a_library_slow_to_open_holds_up_no_other(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go = threading.Event(), threading.Event()

    def slowly(where: Path, **given: Any) -> Any:
        if where == tmp_path / "slow":
            opening.set()
            assert go.wait(60)
        return open_library(where, **given)

    monkeypatch.setattr(pipeline, "open_library", slowly)
    shutil.copytree(library, tmp_path / "slow")
    with ThreadPoolExecutor() as beside:
        slow = beside.submit(answers, tmp_path / "slow")
        assert opening.wait(60)
        quick = answers(library)
        assert not slow.done()
        go.set()
        assert slow.result(60) == quick


def test_models_are_loaded_one_after_the_other(
    library: Path, fake: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, together = threading.Lock(), threading.Barrier(2)

    def alone(result: FakeEncoder | None) -> Callable[..., FakeEncoder | None]:
        def load(*_: Any, **__: Any) -> FakeEncoder | None:
            assert loading.acquire(blocking=False), "two at once"
            threading.Event().wait(0.2)  # long enough for the other to come
            loading.release()
            return result

        return load

    monkeypatch.setattr("index.library.load_encoder", alone(fake))
    monkeypatch.setattr(pipeline, "load_reader", alone(None))
    shutil.copytree(library, tmp_path / "other")

    def ask(where: Path) -> list[tuple[str, float]]:
        together.wait(60)
        return answers(where)

    with ThreadPoolExecutor() as beside:
        one, other = beside.map(ask, (library, tmp_path / "other"))
    assert one == other


def test_a_removed_report_is_found_no_more(library: Path, write: Write, fake: FakeEncoder) -> None:
    add(write(OTHER), library, encoder=fake)
    assert remove(library, 1).title == "关于郑州市2019年度法治政府建设情况的报告"
    assert {hit.document.region for hit in search("行政复议", library=library)} == {"洛阳"}
    publish(library)
    assert verify(library) == []


def test_an_emptied_library_finds_nothing(library: Path) -> None:
    remove(library, 1)
    results = search("行政复议", library=library)
    assert (len(results), results.found) == (0, False)


def test_an_unknown_id_is_refused(library: Path) -> None:
    with pytest.raises(ReportError, match="编号为 9"):
        remove(library, 9)


def test_a_second_writer_is_told_to_wait(library: Path, write: Write, fake: FakeEncoder) -> None:
    with (
        writing(library),
        pytest.raises(ReportError, match="正被另一个程序写入"),
    ):
        add(write(OTHER), library, encoder=fake)
    assert verify(library) == []


def test_verify_tells_vectors_that_differ_from_the_rows(library: Path) -> None:
    with sqlite3.connect(library / DATABASE) as connection:
        other = np.zeros(256, np.float32).tobytes()
        connection.execute("UPDATE segments SET vector = ? WHERE id = 3", (other,))
    assert verify(library) == [
        f"《{read(REPORT).title}》的向量与写入时不同，请移除后重新添加",
        "vectors.faiss 与数据库里的向量不一致",
        "columns.safetensors 与数据库里的内容不一致",
    ]


def test_verify_tells_spans_outside_the_text(library: Path) -> None:
    with sqlite3.connect(library / DATABASE) as connection:
        connection.execute("UPDATE passages SET spans = '[[0, 99999]]' WHERE number = 7")
    assert verify(library) == ["《关于郑州市2019年度法治政府建设情况的报告》第7段的位置超出原文"]


def test_the_published_file_is_a_flat_index_of_inner_products(library: Path) -> None:
    index = faiss.read_index(str(library / vectors.FILE))
    assert (index.d, index.metric_type) == (256, faiss.METRIC_INNER_PRODUCT)
