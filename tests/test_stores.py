"""Check 25: what a store promises, by SQLite with FAISS and by Milvus, on the same reports."""

import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from index import ReportError, add, remove, verify
from index.columns import Scope
from index.contract import Store
from index.library import (
    Location,
    locate,
    migrate,
    open_at,
)
from index.milvus import Address, MilvusLibrary
from index.terms import terms
from index.types import Passage
from search import check, compare, pipeline, search
from tests.conftest import ROOT, FakeEncoder, missing

Write = Callable[..., Path]
QUESTIONS = (
    "行政复议受理了多少件？", "审批事项办理时限压缩到几个工作日？", "报告承认还存在哪些不足？",
    "洛阳全年受理行政复议案件多少件", "2020年打算怎样加强事中事后监管？", "谁签发的",
)  # fmt: skip
OTHERS = {
    "luoyang.md": "洛阳市人民政府关于2021年度工作的报告\n一、成效\n全年受理行政复议案件 41 件。\n二、不足\n人手不够。\n",
    "kaifeng.md": "开封市人民政府关于2020年度工作的报告\n一、成效\n全年受理行政复议案件 52 件。\n新建学校 9 所。\n",
}
SCOPES = (None, Scope((1,), None), Scope(None, ("不足", "计划")), Scope((2, 3), ("已完成",)))


@pytest.fixture
def place(tmp_path: Path) -> Location:
    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        missing("没有安装 milvus-lite，不能测试 Milvus")
    return locate(f"milvus://{tmp_path / 'milvus' / 'l.db'}")


@pytest.fixture
def folder(library: Path, write: Write, fake: FakeEncoder) -> Path:
    for name, text in OTHERS.items():
        add(write(text, name), library, encoder=fake)
    return library


@pytest.fixture
def moved(folder: Path, place: Location) -> Location:
    """The same library in Milvus."""
    assert [done.outcome for done in migrate(folder, place)] == ["新增"] * 3
    return place


@pytest.fixture(params=["folder", "milvus"])
def store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    where = folder if request.param == "folder" else request.getfixturevalue("moved")
    with open_at(where) as opened:
        yield opened


_OFF = 5e-5  # what 16 bits leave of vectors with few large numbers, as the fake encoder makes them


def exact(store: Store, vector: np.ndarray, inside: Callable[[int, str], bool]) -> list[float]:
    """The cosines of all segments that are inside, the nearest first."""
    found = []
    for place, entry in enumerate(store.entries(), 1):
        cosines = iter(store.vectors(entry.id) @ vector)
        for passage in store.passages(document=entry.document.sha256).values():
            found += [
                c for c in (next(cosines) for _ in passage.segments) if inside(place, passage.kind)
            ]
    return sorted(map(float, found), reverse=True)


def scoped(store: Store, scope: Scope | None) -> Scope | None:
    """A scope by the ids of this store."""
    if scope is None or scope.documents is None:
        return scope
    ids = [entry.id for entry in store.entries()]
    return Scope(tuple(ids[place - 1] for place in scope.documents), scope.kinds)


def test_25_the_nearest_are_those_of_exact_search(store: Store, fake: FakeEncoder) -> None:
    for question, scope in itertools.product(QUESTIONS[:3], SCOPES):
        vector, part = fake.encode_query(question), scoped(store, scope)

        def inside(place: int, kind: str, scope: Scope | None = scope) -> bool:
            return scope is None or (
                (scope.documents is None or place in scope.documents)
                and (scope.kinds is None or kind in scope.kinds)
            )

        expected = exact(store, vector, inside)
        found = store.nearest(vector[None], 10, part)[0]
        assert [cosine for _, cosine in found] == pytest.approx(expected[:10], abs=_OFF)
        cosines = store.candidates(vector, [], near=10, lexical=10, scope=part).cosines
        assert max(cosines) == pytest.approx(expected[0], abs=_OFF)


def test_25_both_stores_have_the_same_candidates(
    folder: Path, moved: Location, fake: FakeEncoder
) -> None:
    with open_at(folder) as one, open_at(moved) as other:
        for question, scope in itertools.product(QUESTIONS, SCOPES):
            vector, wanted = fake.encode_query(question), terms(question)
            sides = []
            for store in (one, other):
                found = store.candidates(
                    vector, wanted, near=1000, lexical=1000, scope=scoped(store, scope)
                )
                passages = store.passages(found.passages.tolist()).values()
                sides.append(
                    {
                        (passage.document.name, passage.number): (
                            bm25 > 0,
                            pytest.approx(cosine, abs=_OFF),
                        )
                        for passage, bm25, cosine in zip(
                            passages, found.bm25.tolist(), found.cosines.tolist(), strict=True
                        )
                    }
                )
            assert sides[0] == sides[1]
            rarities = [list(store.rarities(wanted).values()) for store in (one, other)]
            for ours, theirs in zip(*rarities, strict=True):  # log x and log(1 + x)
                assert math.log1p(math.exp(ours)) == pytest.approx(theirs, abs=1e-4) or ours == 1e-6
            for some in (wanted[:1], wanted[:2], wanted):
                assert one.holds_all(some, scoped(one, scope)) == other.holds_all(
                    some, scoped(other, scope)
                )


def test_both_tell_how_near_segments_are(folder: Path, moved: Location, fake: FakeEncoder) -> None:
    vector = fake.encode_query("行政复议")
    sides = []
    for where in (folder, moved):
        with open_at(where) as store:
            assert store.cosines(vector, []) == {}
            (first, *_) = store.entries()
            ids = list(store.passages(document=first.document.sha256))
            near = store.cosines(vector, ids)
            assert list(near) == ids
            sides.append(np.concatenate(list(near.values())))
            np.testing.assert_allclose(store.vectors(first.id) @ vector, sides[-1], atol=_OFF)
    np.testing.assert_allclose(*sides, atol=_OFF)


def test_what_is_read_back_is_what_was_put_in(folder: Path, moved: Location) -> None:
    with open_at(folder) as one, open_at(moved) as other:
        assert len(one) == len(other)
        assert one.model == other.model
        np.testing.assert_array_equal(one.probes, other.probes)
        for a, b in zip(one.entries(), other.entries(), strict=True):
            assert (a.document, a.passages, a.pages, a.paths) == (
                b.document,
                b.passages,
                b.pages,
                b.paths,
            )
            sha256 = a.document.sha256
            assert one.document(a.id) == other.document(b.id)
            assert one.headings(sha256) == other.headings(sha256)
            np.testing.assert_allclose(one.vectors(a.id), other.vectors(b.id), atol=1e-6)
            here, there = (s.passages(document=sha256) for s in (one, other))
            assert list(here.values()) == list(there.values())
            assert _said(one, here) == _said(other, there)


def _said(store: Store, passages: Mapping[int, Passage]) -> list[bytes]:
    """What each of the passages says that can be found: all segments are taken as near."""
    found = store.candidates(store.probes[0], ["案件"], near=16_000, lexical=1)
    digests = dict(zip(found.passages.tolist(), found.digests.tolist(), strict=True))
    return [digests[id] for id, passage in passages.items() if passage.segments]


def test_both_answer_alike(folder: Path, moved: Location) -> None:
    for question in QUESTIONS:
        one, other = search(question, library=folder), search(question, library=moved)
        assert (one.found, one[0].text, one[0].citation) == (
            other.found,
            other[0].text,
            other[0].citation,
        )
        assert [h.marks for h in one if h.text == one[0].text] == [
            h.marks for h in other if h.text == one[0].text
        ]
        assert one[0].score == pytest.approx(other[0].score, abs=0.1)
        assert {hit.text for hit in one[:3]} & {hit.text for hit in other[:3]}


def test_both_filter_compare_and_check_alike(folder: Path, moved: Location) -> None:
    for where in (folder, moved):
        (hit, *_) = search("受理案件多少件", regions="洛阳", library=where)
        assert "41 件" in hit.text
        rows = compare("全年受理行政复议案件多少件", years=[2020, 2021], library=where)
        assert [row.number for row in rows] == ["41 件", "52 件"]
        checked = check("报告说“全年受理行政复议案件 41 件”。", library=where)
        assert checked.quotations[0].verdict == "逐字一致"


def test_a_library_that_is_moved_there_and_back_answers_the_same(
    folder: Path, moved: Location, tmp_path: Path, fake: FakeEncoder
) -> None:
    back, before = tmp_path / "back", fake.encoded
    assert [done.outcome for done in migrate(moved, back)] == ["新增"] * 3
    assert [done.outcome for done in migrate(moved, back)] == ["未变"] * 3
    assert fake.encoded == before
    assert verify(back) == verify(moved) == []
    for question in QUESTIONS:
        expected = [(hit.text, round(hit.score, 5)) for hit in search(question, library=folder)]
        assert [
            (hit.text, round(hit.score, 5)) for hit in search(question, library=back)
        ] == expected


def test_reports_are_added_changed_and_removed_in_milvus(
    place: Location, write: Write, fake: FakeEncoder
) -> None:
    file = write(OTHERS["luoyang.md"], "a.md")
    assert add(file, place, encoder=fake) == "新增"
    assert add(file, place, encoder=fake) == "未变"
    assert "41 件" in search("受理案件多少件", library=place)[0].text
    file.write_text(OTHERS["luoyang.md"].replace("41", "43"), "utf-8")
    assert add(file, place, encoder=fake) == "更新"
    assert "43 件" in search("受理案件多少件", library=place)[0].text
    assert verify(place) == []
    with open_at(place) as opened:
        (entry,) = opened.entries()
        assert entry.paths == (str(file),)
    assert remove(place, entry.id).region == "洛阳"
    assert (len(search("受理案件多少件", library=place)), verify(place)) == (0, [])


def test_what_a_crash_left_in_milvus_is_not_found_and_told(
    moved: Location, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [hit.text for hit in search(QUESTIONS[0], library=moved)]
    assert isinstance(moved, Address)
    from index.milvus.server import connect

    upsert = connect(moved).upsert

    def failing(name: str, *given: object) -> object:
        if name.endswith("_documents"):
            raise ValueError("cut off")
        return upsert(name, *given)

    with monkeypatch.context() as patch, pytest.raises(ReportError, match="不完整"):
        patch.setattr(connect(moved), "upsert", failing)
        text = OTHERS["luoyang.md"].replace("41", "77").replace("洛阳", "安阳")
        add(write(text, "b.md"), moved, encoder=fake)
    pipeline._opened.clear()
    assert [hit.text for hit in search(QUESTIONS[0], library=moved)] == expected
    assert "77" not in "".join(hit.text for hit in search("安阳受理案件 77 件", library=moved))
    assert verify(moved) == ["有不属于任何报告的段落或向量：添加时中断留下的，下次添加时清除"]
    add(write(text, "b.md"), moved, encoder=fake)
    assert verify(moved) == []


def test_an_open_reader_of_milvus_sees_what_was_there_when_it_opened(
    moved: Location, write: Write, fake: FakeEncoder
) -> None:
    vector, wanted = fake.encode_query("受理案件"), terms("受理案件")
    with open_at(moved) as reader:
        before = [
            astuple(reader.candidates(vector, wanted, near=99, lexical=99)),
            reader.lexical_best(wanted, 99),
        ]
        text = "".join(f"安阳受理案件 {n} 件。\n" for n in range(200))
        add(write(f"安阳市人民政府关于2021年度工作的报告\n{text}", "b.md"), moved, encoder=fake)
        after = [
            astuple(reader.candidates(vector, wanted, near=99, lexical=99)),
            reader.lexical_best(wanted, 99),
        ]
        for was, now in zip(before, after, strict=True):
            np.testing.assert_equal(was, now)
        assert all(rarity > 0 for rarity in reader.rarities([*wanted, "安阳"]).values())
    assert "安阳" in search("安阳受理案件", library=moved)[0].document.title


def test_a_reader_knows_whether_it_is_of_the_newest(
    store: Store, folder: Path, write: Write, fake: FakeEncoder
) -> None:
    where = store._at if isinstance(store, MilvusLibrary) else folder
    assert store.is_newest() and store.is_newest()
    add(write("洛阳市人民政府关于2020年度工作的报告\n受理 9 件。\n", "c.md"), where, encoder=fake)
    assert not store.is_newest()


def test_the_share_of_the_words_is_at_most_1_in_milvus(moved: Location) -> None:
    for question in ("工作", "受理案件", "2021年度工作的报告"):
        opened = pipeline.open_once(moved)
        ranked = pipeline.rank(pipeline.normalise(question), opened).ranked
        assert 0 < max(found.lexical for found in ranked) <= 1


def test_moving_never_replaces_what_the_other_has_of_a_file(
    tmp_path: Path, write: Write, fake: FakeEncoder, place: Location
) -> None:
    file, old = write(OTHERS["luoyang.md"], "a.md"), tmp_path / "old"
    add(file, old, encoder=fake)
    file.write_text(OTHERS["luoyang.md"].replace("41", "43"), "utf-8")
    add(file, place, encoder=fake)
    (done,) = migrate(old, place)
    assert done.outcome is None and "另一版" in done.reason
    with open_at(place) as opened:
        (entry,) = opened.entries()
        assert "43" in opened.document(entry.id).text


def test_a_library_cut_off_while_it_was_made_is_made_anew(
    place: Location, write: Write, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(OTHERS["luoyang.md"], "a.md")
    with monkeypatch.context() as patch, pytest.raises(ReportError):
        patch.setattr("index.milvus.writer.set_facts", lambda *_, **__: [][0])
        add(file, place, encoder=fake)
    assert add(file, place, encoder=fake) == "新增"
    assert verify(place) == []


def test_without_pymilvus_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus.exceptions", None)
    with pytest.raises(ReportError, match="pip install"):
        search("行政复议", library=f"milvus://{tmp_path}/l.db")


def test_the_default_library_may_be_in_milvus(
    moved: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YIJU_LIBRARY", str(moved))
    assert "41 件" in search("洛阳受理案件多少件")[0].text


def test_another_model_is_refused_in_milvus(moved: Location, write: Write) -> None:
    with pytest.raises(ReportError, match="other"):
        add(write(OTHERS["luoyang.md"] + "完\n"), moved, encoder=FakeEncoder("other"))


@pytest.mark.parametrize(
    "text",
    [
        "milvus://",
        "milvus://host",
        "milvus://host/名称",
        "milvus:///x.txt",
        "milvus://host:x/a",
        "milvus:a",
        "http://host:19530/a",
        "milvu://host/a",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ReportError, match="不是 Milvus 资料库的地址"):
        search("行政复议", library=text)


def test_an_address_is_read() -> None:
    assert Address.parse("milvus://kb.example.cn/reports") == Address(
        "http://kb.example.cn:19530", "reports"
    )
    assert Address.parse("milvus://u:p%40@h:1/r") == Address("http://h:1", "r", "u:p@")
    assert Address.parse("milvus:///tmp/a%20b.db") == Address("/tmp/a b.db", "yiju")


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ReportError, match="连不上"):
        search("行政复议", library="milvus://127.0.0.1:9/reports")


def test_a_library_that_is_not_there_is_refused_with_what_to_run(place: Location) -> None:
    with pytest.raises(ReportError, match="migrate"):
        MilvusLibrary.open(place)  # type: ignore[arg-type]


def test_the_terminal_moves_and_asks(real: Path, tmp_path: Path, place: Location) -> None:
    address = str(place)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )

    moving = run("index", "--library", str(real), "migrate", address)
    assert (moving.returncode, moving.stderr) == (0, "")
    assert moving.stdout.splitlines() == ["新增：zhengzhou-2019.md", f"已搬到：{place}"]
    listed = run("index", "--store", address, "list")
    assert "关于郑州市2019年度法治政府建设情况的报告" in listed.stdout
    asked = run("search", "--store", address, QUESTIONS[0])
    assert asked.stdout.startswith("回答：957 件") and asked.stderr == ""
    refused = run("search", "--store", "milvus://", QUESTIONS[0])
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
