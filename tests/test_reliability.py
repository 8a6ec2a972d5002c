"""The checks of RELIABILITY that need more than one process, a fault or a crowd; numbered as there."""

import contextlib
import errno
import gc
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import index.changes
import index.database
import index.seal
import index.store
from index import Library, ReportError, add, remove, verify
from index.database import DATABASE, FORMAT, SEAL, writing
from index.derived import FILES
from index.library import publish
from index.library import writer as writer_of
from search import Results, pipeline, search
from tests.conftest import REPORT, ROOT, FakeEncoder

SEED = int(os.environ.get("YIJU_SEED", "20261124"))
QUESTIONS = (
    "行政复议受理了多少件？", "审批事项办理时限压缩到几个工作日？", "报告承认还存在哪些不足？",
    "2020年打算怎样加强事中事后监管？", "这份报告是谁签发的？", "归集了多少数据",
)  # fmt: skip
ADDING = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import index.library
from tests.conftest import FakeEncoder
index.library.load_encoder = lambda *a, **k: FakeEncoder()
for done in index.library.add_many([Path(p) for p in sys.argv[2:]], Path(sys.argv[1])):
    print(done.outcome, done.file.name, done.reason, flush=True)
"""


@pytest.fixture
def rng() -> random.Random:
    print(f"seed {SEED}")  # noqa: T201 - whoever sees it fail can have the same again
    return random.Random(SEED)


def report(place: str, number: int) -> str:
    return (
        f"{place}市人民政府关于2021年度工作的报告\n一、成效\n全年受理案件 {number} 件。\n"
        f"新建学校 {number + 1} 所。\n二、不足\n人手不够，{place}还有 {number + 2} 个项目没有完成。\n"
    )


def reports(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / f"r{number}.md" for number in range(count)]
    for number, file in enumerate(files):
        file.write_text(report(f"甲{number}", 100 + number), "utf-8")
    return files


def adding(library: Path, files: Sequence[Path], **more: Any) -> subprocess.Popen[str]:
    code = ADDING.format(root=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(library), *map(str, files)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def names(library: Path) -> set[str]:
    with Library.open(library) as opened:
        return {entry.document.name for entry in opened.entries()}


def answers(library: Path) -> list[list[tuple[str, float]]]:
    pipeline._opened.clear()
    return answers_now(library)


def answers_now(library: Path) -> list[list[tuple[str, float]]]:
    return [
        [(hit.text, round(hit.score, 6)) for hit in search(q, library=library)] for q in QUESTIONS
    ]


def test_8_a_killed_writer_loses_nothing_that_it_told_of(
    tmp_path: Path, rng: random.Random, fake: FakeEncoder
) -> None:
    files = reports(tmp_path / "reports", 24)
    library = tmp_path / "library"
    told: set[str] = set()
    for round in range(20):
        chosen = rng.sample(files, 12)
        writer = adding(library, chosen)
        assert writer.stdout
        if round % 2:  # sooner or later, and in the middle of one
            line = writer.stdout.readline()
            assert line.startswith(("新增", "未变"))
            told.add(line.split()[1])
        time.sleep(rng.uniform(0, 0.25))  # killed at whatever moment
        writer.send_signal(signal.SIGKILL)
        out, _ = writer.communicate()
        whole = out.split("\n")[:-1]  # what follows was cut short
        told |= {line.split()[1] for line in whole if line.startswith(("新增", "未变"))}
        if (library / DATABASE).is_file() and writer_of(library).version():
            wrong = [told for told in verify(library) if not told.startswith(FILES)]
            assert wrong == [] and told <= names(library), round
    assert told
    assert add(files[0], library, encoder=fake) is not None
    publish(library)
    assert verify(library) == []


class Fault:
    """Raises at the nth operation on files and databases, before or after it is done."""

    def __init__(self, number: int, *, after: bool) -> None:
        self.left, self.after = number, after

    def at(self, act: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def acted(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            now = self.left == 0
            if now and not self.after:
                raise error
            done = act(*args, **kwargs)
            if now:
                if hasattr(done, "close"):  # what could not be opened is not open
                    done.close()
                raise error
            return Watched(done, self) if hasattr(done, "close") else done

        return acted

    def of_file(self, act: Callable[..., Any]) -> Callable[..., Any]:
        return self.at(act, OSError(errno.EIO, "Input/output error"))

    def of_database(self, act: Callable[..., Any]) -> Callable[..., Any]:
        return self.at(act, sqlite3.OperationalError("disk I/O error"))


class Watched:
    """A file or a connection whose operations may fail."""

    def __init__(self, opened: Any, fault: Fault) -> None:
        self._opened, self._fault = opened, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._opened, name)
        if name in ("execute", "executemany"):
            return self._fault.of_database(found)
        return self._fault.of_file(found) if name in ("read", "write", "flush") else found

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def watch(patch: pytest.MonkeyPatch, fault: Fault) -> None:
    for module in (index.database, index.seal, index.store):
        patch.setattr(module, "connect", fault.of_database(index.database.connect))
    for name in ("open", "mkdir", "stat", "replace", "unlink"):
        patch.setattr(Path, name, fault.of_file(getattr(Path, name)))
    patch.setattr(os, "fsync", fault.of_file(os.fsync))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("first", [False, True], ids=["another", "first"])
def test_9_a_fault_at_any_operation_leaves_the_old_library_or_the_new(
    tmp_path: Path, fake: FakeEncoder, first: bool, after: bool
) -> None:
    """The report takes the place of another, or is the first of its library."""
    library, old = tmp_path / "library", tmp_path / "old"
    file, other = reports(tmp_path / "reports", 2)
    old.mkdir()
    if not first:
        for each in (file, other):
            add(each, old, encoder=fake)
    before = None if first else answers(old)
    file.write_text(report("洛阳", 41), "utf-8")
    shutil.copytree(old, library)
    add(file, library, encoder=fake)
    new = answers(library)
    refused = 0
    for number in itertools.count(1):
        pipeline._opened.clear()
        shutil.rmtree(library)
        shutil.copytree(old, library)
        fault = Fault(number, after=after)
        with pytest.MonkeyPatch.context() as patch:
            watch(patch, fault)
            try:
                add(file, library, encoder=fake)
            except ReportError:
                refused += 1
        if fault.left > 0:
            break
        there = (library / DATABASE).is_file() and writer_of(library).version()
        if there or not first:
            assert answers(library) in (before, new), number
            assert [each for each in verify(library) if not each.startswith(FILES)] == [], number
        pipeline._opened.clear()
        add(file, library, encoder=fake)
        assert answers(library) == new, number
        assert verify(library) == [], number
        left = {each.name for each in library.iterdir()}
        assert left - {f"{DATABASE}-wal", f"{DATABASE}-shm"} == {DATABASE, *FILES, SEAL}, number
    assert refused > 20
    assert number > 60


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("这里不能挂载 tmpfs，不能测试写满的磁盘")
    try:
        yield folder
    finally:
        pipeline._opened.clear()
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_10_a_full_disk_is_one_sentence_and_the_old_library_stays(
    tmp_path: Path, fake: FakeEncoder
) -> None:
    many = "".join(f"第{n}项工作完成了{n}件，成效明显，群众满意。\n" for n in range(9000))
    (tmp_path / "big.md").write_text(f"一、成效\n{many}", "utf-8")
    with small_disk(tmp_path / "disk", 9) as disk:
        library = disk / "library"
        add(REPORT, library, encoder=fake)
        expected = answers(library)
        with pytest.raises(ReportError, match="磁盘已满"):
            add(tmp_path / "big.md", library, encoder=fake)
        assert answers(library) == expected
        publish(library)
        assert verify(library) == []
        assert {file.name for file in library.iterdir()} <= {
            DATABASE, *FILES, SEAL, f"{DATABASE}-wal", f"{DATABASE}-shm",
        }  # fmt: skip


def test_11_a_library_that_cannot_be_written_is_searched_and_not_changed(
    tmp_path: Path, fake: FakeEncoder
) -> None:
    with small_disk(tmp_path / "disk", 30) as disk:
        library = disk / "library"
        add(REPORT, library, encoder=fake)
        expected = answers(library)
        pipeline._opened.clear()
        gc.collect()  # the last reader to close tidies up after the writer
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        before = {file.name: file.read_bytes() for file in library.iterdir()}
        assert answers(library) == expected
        with pytest.raises(ReportError, match="不能读写资料库"):
            add(reports(tmp_path / "reports", 1)[0], library, encoder=fake)
        assert {file.name: file.read_bytes() for file in library.iterdir()} == before
        assert verify(library) == []


def flip(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) * 8)
    found = bytearray(data)
    found[place // 8] ^= 1 << place % 8
    return bytes(found)


@pytest.mark.parametrize("name", [DATABASE, *FILES, SEAL])
def test_12_a_damaged_file_is_refused_by_name_or_made_good_and_never_answers_otherwise(
    library: Path, tmp_path: Path, rng: random.Random, fake: FakeEncoder, name: str
) -> None:
    other = tmp_path / "other"
    add(reports(tmp_path / "reports", 1)[0], other, encoder=fake)
    expected = answers(library)
    assert {file.name for file in library.iterdir()} >= {DATABASE, *FILES, SEAL}
    sound = {file.name: file.read_bytes() for file in library.iterdir()}
    whole = sound[name]
    damaged = [flip(whole, rng) for _ in range(200)]
    damaged += [whole[: rng.randrange(len(whole))] for _ in range(20)]
    damaged += [b"", (other / name).read_bytes()]
    refused = 0
    for data in [*damaged, None]:
        for file in library.iterdir():
            file.unlink()
        for kept, held in sound.items():
            (library / kept).write_bytes(held)
        if data is None:
            (library / name).unlink()
        else:
            (library / name).write_bytes(data)
        try:
            assert answers(library) == expected
        except ReportError as exc:
            refused += 1
            assert str(library / DATABASE) in str(exc) or data is None
            assert name == DATABASE or data == damaged[-1]
    if name == DATABASE:  # a flip in the number of the generation changes no hit and is let through
        assert refused >= len(damaged) - 3
    else:  # the seal of another library is whole, but not that of this one
        assert refused == (name == SEAL)


def test_12_a_library_that_is_being_written_is_not_taken_for_a_damaged_one(
    library: Path, tmp_path: Path, fake: FakeEncoder
) -> None:
    with writing(library):
        assert not (library / SEAL).exists()
        assert answers(library)
    pipeline._opened.clear()  # a reader of what was before keeps it from being sealed
    gc.collect()
    publish(library)
    sealed = (library / SEAL).read_text()
    publish(library)
    assert (library / SEAL).read_text() == sealed
    add(reports(tmp_path / "reports", 1)[0], library, encoder=fake)
    assert (library / SEAL).read_text() != sealed


def test_12_what_was_added_while_it_was_open_is_sealed_when_the_newest_is_opened(
    library: Path, tmp_path: Path, fake: FakeEncoder
) -> None:
    one, other, third = reports(tmp_path / "reports", 3)
    search(QUESTIONS[0], library=library)
    add(one, library, encoder=fake)
    assert not (library / SEAL).exists()
    search(QUESTIONS[0], library=library)
    assert (library / SEAL).exists()
    held = pipeline.open_once(library)  # by another thread, say
    add(other, library, encoder=fake)
    search(QUESTIONS[0], library=library)
    assert not (library / SEAL).exists()
    assert len(held.library.entries()) == 2
    del held
    add(third, library, encoder=fake)
    found = answers_now(library)
    assert (library / SEAL).exists()
    assert answers(library) == found
    assert verify(library) == []
    pipeline._opened.clear()
    data = bytearray((library / DATABASE).read_bytes())
    data[len(data) // 2] ^= 1
    (library / DATABASE).write_bytes(data)
    with pytest.raises(ReportError, match="已损坏"):
        answers(library)


@pytest.mark.skipif(os.name != "posix", reason="只有 POSIX 的锁会因关闭文件而失去")
def test_12_hashing_a_library_gives_up_no_lock_of_its_readers(library: Path) -> None:
    log = library / f"{DATABASE}-wal"
    write = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('UPDATE meta SET value = value'); c.commit(); c.close()"
    with Library.open(library):
        subprocess.run([sys.executable, "-c", write, str(library / DATABASE)], check=True)
        assert log.is_file()  # the last to close it removes it
    subprocess.run([sys.executable, "-c", write, str(library / DATABASE)], check=True)
    assert not log.exists()


def test_12_what_is_written_while_it_is_hashed_is_not_sealed(
    library: Path, tmp_path: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / SEAL).unlink()
    (file,) = reports(tmp_path / "reports", 1)
    hashed = index.seal._sha256

    def meanwhile(folder: Path) -> str:
        monkeypatch.setattr(index.seal, "_sha256", hashed)
        found = hashed(folder)
        add(file, library, encoder=fake)
        (library / SEAL).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(index.seal, "_sha256", meanwhile)
    index.seal.seal(library)
    assert index.seal._sha256 is hashed
    assert not (library / SEAL).exists()
    publish(library)
    assert answers(library)


def test_12_what_a_reader_keeps_from_its_file_is_not_sealed_though_it_goes_there_meanwhile(
    library: Path, tmp_path: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = index.seal._sha256
    reader = Library.open(library)
    add(reports(tmp_path / "reports", 1)[0], library, encoder=fake)

    def meanwhile(folder: Path) -> str:
        found = hashed(folder)
        reader.close()
        with contextlib.closing(index.database.connect(library, writing=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return found

    monkeypatch.setattr(index.seal, "_sha256", meanwhile)
    index.seal.seal(library)
    reader.close()
    assert not (library / SEAL).exists()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"format": FORMAT - 1}, "重新添加"),
        ({"format": FORMAT + 1}, "重新添加"),
        ({"encoder": "别的模型", "fingerprint": "别的"}, "别的模型"),
        ({"fingerprint": "fake-128", "dim": 128}, "另一个版本"),
        ({"fingerprint": "fake-256 另一种前缀"}, "另一个版本"),
    ],
)
def test_13_a_library_of_another_model_or_format_is_refused_saying_what_to_do(
    library: Path, tmp_path: Path, fake: FakeEncoder, facts: dict[str, Any], told: str
) -> None:
    with writing(library) as connection:
        index.database.set_facts(connection, **facts)
    (file,) = reports(tmp_path / "reports", 1)
    for act in (lambda: answers(library), lambda: add(file, library, encoder=fake)):
        with pytest.raises(ReportError, match=told):
            act()


def test_14_two_writers_at_once_both_end_well_or_are_told(tmp_path: Path) -> None:
    files = reports(tmp_path / "reports", 12)
    library = tmp_path / "library"
    writers = [adding(library, files[:6]), adding(library, files[6:])]
    out = "".join(writer.communicate()[0] for writer in writers)
    lines = out.splitlines()
    added = {line.split()[1] for line in lines if line.startswith("新增")}
    assert len(lines) == 12 and added == names(library)
    assert all("正被另一个程序写入" in line for line in lines if not line.startswith("新增"))
    assert verify(library) == []


def test_15_each_answer_is_wholly_from_one_generation(
    library: Path, tmp_path: Path, fake: FakeEncoder
) -> None:
    pair = tmp_path / "pair.md"
    pair.write_text("一、成效\n甲字第一号复议案件办结。\n甲字第二号复议案件办结。\n", "utf-8")
    stop, wrong = threading.Event(), list[object]()

    def ask() -> None:
        while not stop.is_set():
            try:
                hits = search("甲字复议案件办结", library=library, top_k=10)
                own = [hit for hit in hits if hit.document.name == "pair.md"]
                if len(own) not in (0, 2):
                    wrong.append([hit.text for hit in own])
            except Exception as exc:  # whatever it is, it should not be
                wrong.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        add(pair, library, encoder=fake)
        time.sleep(0.1)  # some questions are asked while it is there
        with Library.open(library) as opened:
            ids = [e.id for e in opened.entries() if e.document.name == "pair.md"]
        remove(library, ids[0])
        time.sleep(0.1)  # and some while it is not
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    publish(library)
    assert verify(library) == []


def test_16_eight_threads_get_the_answers_of_one(library: Path, rng: random.Random) -> None:
    asked = [rng.choice(QUESTIONS) + "？" * rng.randrange(3) for _ in range(100)]
    expected = [[(h.text, h.score) for h in search(q, library=library)] for q in asked]
    found: dict[int, list[list[tuple[str, float]]]] = {}

    def ask(number: int) -> None:
        found[number] = [[(h.text, h.score) for h in search(q, library=library)] for q in asked]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[number] == expected for number in range(8))


def resident() -> float:
    """Return this process's memory in MB and its open files."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="没有 /proc，量不出内存")
def test_17_ten_thousand_questions_leave_memory_and_files_as_they_are(library: Path) -> None:
    def ask(count: int) -> Results:
        for number in range(count):
            found = search(f"{QUESTIONS[number % 6]}{number}", library=library)
        return found

    ask(2000)
    memory, files = resident(), len(os.listdir("/proc/self/fd"))
    ask(8000)
    assert resident() - memory < 10
    assert len(os.listdir("/proc/self/fd")) == files


def test_23_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'socket.getaddrinfo' and args[0] not in ('127.0.0.1', 'localhost', '::1', None):\n"
        "        print('DNS', args[:2], flush=True)\n"
        "    if event == 'socket.connect' and isinstance(args[1], tuple) and args[1][0] not in ('127.0.0.1', '::1'):\n"
        "        print('CONNECT', args[1], flush=True)\n"
        "sys.addaudithook(hook)\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import threading, ui, urllib.request\n"
        "from pathlib import Path\n"
        "from search import search\n"
        f"library = Path({str(tmp_path / 'library')!r})\n"
        "from index import add, load_encoder\n"
        f"add(Path({str(REPORT)!r}), library, encoder=load_encoder())\n"
        "assert search('行政复议受理了多少件', library=library)\n"
        "from search.web.desk import Desk\n"
        "app = ui.server(Desk(library), hosts=['127.0.0.1'], login=None, mcp=False)\n"
        "listening = __import__('socket').create_server(('127.0.0.1', 0))\n"
        "port = listening.getsockname()[1]\n"
        "import uvicorn\n"
        "server = uvicorn.Server(uvicorn.Config(app, log_level='error'))\n"
        "threading.Thread(target=server.run, args=([listening],), daemon=True).start()\n"
        "page = urllib.request.urlopen(f'http://127.0.0.1:{port}/').read().decode()\n"
        "import re\n"
        "print(sorted(set(re.findall(r'(?:src|href)=\"(https?://[^\"]+)', page))))\n"
        "server.should_exit = True\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stdout + run.stderr[-2000:]
