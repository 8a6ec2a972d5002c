"""Libraries of many sizes: the real reports, and as many changed copies of them as it takes.

A copy has other numbers, places and subjects in every sentence, of the same length, so that all
offsets stay. Up to a size each segment is encoded; above it a copy's vectors are the original's with
noise: to encode 100,000 passages takes two cores seven hours.
"""

import hashlib
import itertools
import json
import random
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from index import passages, read
from index.changes import FolderWriter
from index.contract import Prepared
from index.encoder import Encoder, Vectors, load_encoder
from index.errors import ReportError
from index.library import DEFAULT_REPORTS, index_text, insert, publish
from index.outline import outline
from index.probes import PROBES
from index.terms import fold, terms
from index.types import Document, Passage, Section
from tests.benchmarks.process import Clock, peak_memory

How = Literal["encoded", "copied", "thin"]
"""Every segment encoded; copies with noise for vectors; the same with one or two segments a passage."""

SEGMENTS = {"encoded": 16, "copied": 16, "thin": 2}
"""Segments a passage, about: what disk space is asked for by."""

NEARNESS = 0.84
"""Cosine of a copy's vector to its original's: the median when 500 changed segments are encoded."""

_FIRST = DEFAULT_REPORTS / "zhengzhou-2019.md"  # what the questions are on
_PLACES = re.findall(
    r"\S+",
    "黑龙江 内蒙古 北京 天津 河北 山西 辽宁 吉林 上海 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东"
    " 广西 海南 重庆 四川 贵州 云南 西藏 陕西 甘肃 青海 宁夏 新疆 郑州 淮安 普陀",
)
_SUBJECTS = re.findall(
    r"\S+",
    "教育 医疗 交通 农业 工业 旅游 科技 文化 体育 就业 养老 住房 环保 水利 能源 金融 外贸 消费 投资 财政"
    " 法治 政务 司法 行政 执法 复议 信访 安全 应急 消防 生态 林业 渔业 畜牧 粮食 电力 通信 物流 制造 建筑"
    " 城市 乡村 社区 企业 项目 园区 港口 机场 铁路 公路 桥梁 学校 医院 人才 技术 产业 市场 服务 改革 创新"
    " 开放 发展 建设 治理 监督 管理 保障 民生 经济 社会 群众 干部 制度 机制 规划 政策",
)
_HEADS, _TAILS = "临安宁永清平新长东西南北云龙凤金石双高玉", "江州阳山川河海城原泉溪陵岭泽丰湖林塘"
_CHANGED = re.compile("|".join([r"\d+", *_PLACES, *_SUBJECTS]))
_HAN = re.compile(r"[\u4e00-\u9fff]{2}")


@dataclass(frozen=True, slots=True)
class Report:
    """A report ready to be written; ``turn`` 0 is the original, whose sha256 is ``origin``."""

    origin: str
    turn: int
    document: Document
    passages: tuple[Passage, ...]
    headings: tuple[Section, ...]


def build(clock: Clock, folder: str, size: int, how: How, vectors: str, shared: str, base: int
) -> dict[str, object]:  # fmt: skip
    """Build a library of about ``size`` passages; return what it took. Runs apart.

    ``vectors`` is the folder where those of encoded reports are kept, ``base`` the size of the
    encoded library that is copied. What was built before and cut off goes on, and counts not.
    """
    target, kept = Path(folder), Path(vectors)
    _check_space(target, size, how)
    encoder = Recorder(load_encoder())
    to = FolderWriter(target)
    to.create(encoder, lambda: np.stack([encoder.encode_query(fold(p)) for p in PROBES]))
    originals: Iterable[Report] = _originals(Path(shared))
    if how != "encoded":
        originals = list(_about(originals, base))
    begun, written = time.perf_counter(), 0
    count = segments = documents = 0
    for report in _about(_with_copies(originals), size):
        before = time.perf_counter()
        if to.holds(report.document.sha256):
            begun += time.perf_counter() - before
        elif how == "encoded":
            written += _insert(report, target, encoder, kept)
        else:
            report, rows = copied(report, kept, thin=how == "thin")
            written += _write(report, target, encoder, rows)
        documents, count = documents + 1, count + len(report.passages)
        segments += sum(len(passage.segments) for passage in report.passages)
    seconds = time.perf_counter() - begun
    publish(target)
    return {
        "how": how,
        "documents": documents,
        "passages": count,
        "segments": segments,
        "written": written,
        "seconds": seconds,
        "encoding": encoder.seconds,
        "publishing": time.perf_counter() - begun - seconds,
        "peak_mb": peak_memory(),
        "bytes": {file.name: file.stat().st_size for file in target.iterdir()},
    }


class Recorder:
    """An encoder that tells how long it took and keeps what it made for a report."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.fingerprint, self.dim = encoder.name, encoder.fingerprint, encoder.dim
        self.seconds = 0.0
        self.rows: list[Vectors] = []

    def encode_query(self, text: str) -> Vectors:
        """Return float32 [dim], unit length."""
        return self._encoder.encode_query(text)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 [n, dim], unit length, in the order of the texts."""
        before = time.perf_counter()
        self.rows.append(self._encoder.encode_passages(texts))
        self.seconds += time.perf_counter() - before
        return self.rows[-1]


def _insert(report: Report, folder: Path, encoder: Recorder, kept: Path) -> int:
    """Put a report in as a user does, and keep its vectors; return its passages."""
    encoder.rows.clear()
    insert(report.document, folder, encoder=encoder, quiet=True)
    if report.turn == 0:
        kept.mkdir(parents=True, exist_ok=True)
        np.save(kept / f"{report.origin}.npy", np.concatenate(encoder.rows))
    return len(report.passages)


def _write(report: Report, folder: Path, encoder: Encoder, rows: Vectors) -> int:
    """Put a report in by the same path, but with vectors that are there; return its passages."""
    said = ("".join(passage.text.split()) for passage in report.passages)
    made = Prepared(
        report.document,
        report.passages,
        report.headings,
        rows,
        tuple(tuple(terms(index_text(p))) if p.segments else () for p in report.passages),
        tuple(hashlib.sha256(text.encode()).digest()[:16] for text in said),
    )
    FolderWriter(folder).write(made, path=None, model=encoder)
    return len(report.passages)


def _originals(shared: Path) -> Iterator[Report]:
    """Yield the report that the questions are on, and the others in an order mixed for good."""
    files = [
        file
        for folder in ("reports", "train/src")
        for file in sorted((shared / folder).glob("*.*"))
        if file.suffix != ".tsv"
    ]
    random.Random(1).shuffle(files)
    for file in [_FIRST, *files]:
        try:
            document = read(file)
        except ReportError:  # the page that draws a chart
            continue
        headings = dict.fromkeys(part.section for part in outline(document) if part.section)
        yield Report(document.sha256, 0, document, passages(document), tuple(headings))


def _with_copies(originals: Iterable[Report]) -> Iterator[Report]:
    kept = []
    for report in originals:
        kept.append(report)
        yield report
    for turn in itertools.count(1):
        yield from (copy(report, turn) for report in kept)


def _about(reports: Iterable[Report], size: int) -> Iterator[Report]:
    """Yield as many reports as come nearest to a number of passages."""
    count = 0
    for report in reports:
        more = count + len(report.passages)
        if count and more - size > size - count:
            return
        yield report
        count = more


def copy(report: Report, turn: int) -> Report:
    """Return a report that says something else in each passage, every span where it was."""
    subjects = list(_SUBJECTS)
    random.Random(turn).shuffle(subjects)
    others = dict(zip(_SUBJECTS, subjects, strict=True))

    def change(text: str | None) -> str:
        return _CHANGED.sub(lambda match: _other(match[0], turn, others), text or "")

    old = report.document
    text = _marked(change(old.text), report, turn)
    new = replace(
        old,
        name=f"{turn}-{old.name}",
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        title=change(old.title) or None,
        issuer=change(old.issuer) or None,
    )
    sections = {
        section: replace(section, path=tuple(map(change, section.path)))
        for section in [*report.headings, *(p.section for p in report.passages if p.section)]
    }
    parts = tuple(
        replace(p, document=new, section=sections[p.section] if p.section else None)
        for p in report.passages
    )
    headings = tuple(sections[section] for section in report.headings)
    return Report(report.origin, turn, new, parts, headings)


def _other(found: str, turn: int, others: dict[str, str]) -> str:
    if found in others:
        return others[found]
    chance = random.Random(f"{turn} {found}")
    if found.isdigit():
        year = len(found) == 4 and found[:2] in ("19", "20")
        return found if year else "".join(chance.choices("123456789", k=len(found)))
    return _name(chance, len(found))


def _name(chance: random.Random, length: int) -> str:
    return chance.choice(_HEADS) + "".join(chance.choices(_TAILS, k=length - 1))


def _marked(text: str, report: Report, turn: int) -> str:
    """Put a name into the passages that are as they were: the same 100 times is one hit."""
    chars = list(text)
    for passage in report.passages:
        start, end = max(passage.spans, key=lambda span: span[1] - span[0])
        found = list(_HAN.finditer(text, start, end))
        if found and text[start:end] == report.document.text[start:end]:
            chars[slice(*found[-1].span())] = _name(random.Random(f"{turn} {start}"), 2)
    return "".join(chars)


def copied(report: Report, kept: Path, *, thin: bool) -> tuple[Report, Vectors]:
    """Return a report with vectors made of its original's, float32 [segments, dim], unit length.

    ``thin`` keeps of each passage the first two items, or its first segment.
    """
    rows = np.load(kept / f"{report.origin}.npy")
    if report.turn:
        noise = np.random.default_rng([report.turn, int(report.origin[:8], 16)])
        away = noise.standard_normal(rows.shape, np.float32) / np.sqrt(rows.shape[1])
        rows = rows + away * np.float32(np.sqrt(NEARNESS**-2 - 1))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if not thin:
        return report, rows
    chosen, parts, at = list[int](), list[Passage](), 0
    for passage in report.passages:
        items = [i for i, s in enumerate(passage.segments) if s.grain == "item"][:2]
        few = items or list(range(len(passage.segments)))[:1]
        chosen += [at + i for i in few]
        at += len(passage.segments)
        parts.append(replace(passage, segments=tuple(passage.segments[i] for i in few)))
    return replace(report, passages=tuple(parts)), rows[chosen]


def nearness(clock: Clock, shared: str, reports: int) -> dict[str, float]:
    """Return how near changed segments really are to their originals: ``NEARNESS`` is of this."""
    encoder = load_encoder()
    found = []
    for report in itertools.islice(_originals(Path(shared)), reports):
        other = copy(report, 1)
        pairs = [
            (index_text(p, s), index_text(q, s))
            for p, q in zip(report.passages, other.passages, strict=True)
            for s in p.segments
        ][::7]
        before, after = (encoder.encode_passages(texts) for texts in zip(*pairs, strict=True))
        found.append((before * after).sum(1))
    low, middle, high = np.quantile(np.concatenate(found), [0.1, 0.5, 0.9]).tolist()
    return {"p10": low, "p50": middle, "p90": high}


def _check_space(folder: Path, size: int, how: How) -> None:
    """Raise ``OSError`` if a library may not fit: rows, index, and both written anew beside."""
    folder.mkdir(parents=True, exist_ok=True)
    needed = size * (SEGMENTS[how] * 1536 * 4 + 8192)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder}: {needed / 1e9:.0f} GB needed, {free / 1e9:.0f} GB free")


def built(folder: Path) -> dict[str, object] | None:
    """Return what a library that is there took; None if it is not, or not whole."""
    file = folder.with_suffix(".json")
    return json.loads(file.read_text("utf-8")) if file.is_file() else None
