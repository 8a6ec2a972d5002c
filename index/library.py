"""The pipeline that puts a report into a library, and where the libraries are."""

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from platformdirs import user_data_path
from tqdm import tqdm

from index import milvus
from index.changes import FolderWriter
from index.columns import DIGEST
from index.contract import Entry, Outcome, Prepared, Store, Writer, check_model
from index.database import DATABASE, LARGE
from index.derived import is_published
from index.documents import load, parse, read
from index.encoder import LOADING, Encoder, Vectors, load_encoder
from index.errors import ReportError, reason
from index.milvus import Address
from index.outline import outline
from index.passages import passages
from index.probes import PROBES
from index.readers import KNOWN_SUFFIXES, SUFFIXES
from index.seal import seal
from index.store import Library
from index.tables import labelled
from index.terms import fold, terms
from index.types import Document, Passage, Report, Role, Section, Segment

Location = Path | Address
"""Where a library is: a folder, or Milvus."""

_IS_ADDRESS = re.compile("milvus:|[a-z][a-z+.-]*://", re.I)

DEFAULT_REPORTS = Path(__file__).with_name("reports")
REPORTS = (*SUFFIXES, *KNOWN_SUFFIXES)
_BATCH = 128
_CONTEXT = 60  # characters of each heading in front of a segment: with it the model reads it whole

# What people call the fields of a 公文; goes into the index text so that 「谁签发的」 finds 签发人.
_FIELD_NAMES: dict[Role, str] = {
    "发文机关": "发文机关 发文单位 哪个单位发的文件",
    "发文字号": "发文字号 文号 文件编号 第几号文件",
    "签发人": "签发人 谁签发的 哪位领导签发",
    "标题": "标题 题目 报告名称 文件名称",
    "主送机关": "主送机关 收文单位 报送对象 报给谁 发给谁 抬头",
    "成文日期": "成文日期 落款日期 落款是哪天 什么时候发的",
}


def default_location() -> Location:
    """Return where the default library is: ``YIJU_LIBRARY``, else a folder in the user's data."""
    return locate(
        os.environ.get("YIJU_LIBRARY") or user_data_path("yiju", appauthor=False) / "library"
    )


def locate(given: Location | str | None) -> Location:
    """Return where a library is: a folder, an address, which begins with ``milvus:``, or the default.

    Raises ``ReportError`` if it is no address.
    """
    if given is None:
        return default_location()
    if isinstance(given, Address):
        return given
    text = os.fspath(given)
    return Address.parse(text) if _IS_ADDRESS.match(text) else Path(text).absolute()


def writer(where: Location) -> Writer:
    """Return what puts reports into a library."""
    return milvus.MilvusWriter(where) if isinstance(where, Address) else FolderWriter(where)


def open_at(where: Location) -> Store:
    """Open a library. Raises ``ReportError`` if it is missing, damaged or of another format."""
    return milvus.MilvusLibrary.open(where) if isinstance(where, Address) else Library.open(where)


def ensure_default(where: Location, *, model: str | None = None) -> Encoder | None:
    """Build the default library of the reports in the package, if it is not there.

    Returns the encoder if one was loaded for that. Raises ``ReportError`` if it cannot be built.
    """
    if writer(where).version():
        return None
    with LOADING:
        encoder = load_encoder(model)
    for file in sorted(DEFAULT_REPORTS.glob("*.md")):
        add(file, where, encoder=encoder)
    return encoder


def open_library(
    where: Location | None = None, *, encoder: Encoder | None = None
) -> tuple[Store, Encoder]:
    """Open a library with the encoder it was made by; build the default one if it is not there.

    ``encoder`` is one already loaded. Raises ``ReportError`` if the library cannot be opened or
    was made by another encoder.
    """
    if where is None:
        where = default_location()
        encoder = ensure_default(where) or encoder
    if isinstance(where, Path) and not is_published(where):
        publish(where)  # of a release that kept less beside it, or after a crash
    library = open_at(where)
    try:
        if encoder is None or encoder.name != library.model.name:
            with LOADING:
                encoder = load_encoder(library.model.name, offline=True)
        check_model(where, library.model, encoder)
    except BaseException:
        library.close()
        raise
    return library, encoder


def add(file: Path, where: Location, *, encoder: Encoder) -> Outcome:
    """Add a report to a library, made if it is not there; tells what that did.

    A file that was added before and has changed takes the place of what it was. Shows a progress bar
    on a terminal. Raises ``ReportError`` and leaves the library as it was if the file cannot be
    read, the library cannot be written or was made by another encoder.
    """
    outcome = _put(file, *_look(file, where), where, lambda: encoder).outcome
    publish(where)
    return outcome or "未变"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a file: ``outcome`` None if it was refused, for ``reason``."""

    file: Path
    outcome: Outcome | None
    reason: str = ""
    passages: int = 0


def add_many(
    files: Iterable[Path],
    where: Location,
    *,
    model: str | None = None,
    workers: int | None = None,
) -> Generator[Added, None, None]:
    """Add files one by one and tell of each, going on after one that is refused.

    The encoder is loaded when the first new file is met: unchanged ones cost a hash. ``workers`` are
    those of ``load_encoder``. Each is committed before it is told of; whoever stops midway keeps
    what was told. Raises ``ReportError`` for what is wrong with the model or with writing the
    library, not with a file.
    """
    encoder: list[Encoder] = []

    def loaded() -> Encoder:
        if not encoder:
            encoder.append(load_encoder(model or encoder_of(where), workers=workers))
        return encoder[0]

    try:
        for file in files:
            try:
                hashed, document = _look(file, where)
            except ReportError as exc:
                yield Added(file, None, str(exc))
                continue
            yield _put(file, hashed, document, where, loaded)
    finally:
        publish(where)


def reports_in(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the files under a path that may be reports, in order, and the others.

    Hidden files and folders are passed over, links are not followed. A path that is no folder is
    returned as it is. Raises ``ReportError`` if a folder cannot be read.
    """
    try:
        if not path.is_dir():
            return [path], []
        found = sorted(
            file
            for file in path.rglob("*")
            if not any(part.startswith((".", "~$")) for part in file.relative_to(path).parts)
            and (file.is_symlink() or not file.is_dir())
        )
    except (OSError, ValueError) as exc:
        raise ReportError(f"不能读取“{path}”：{reason(exc)}，请检查路径和权限。") from exc
    known = {file: file.suffix.lower() in REPORTS and not file.is_symlink() for file in found}
    return [file for file in found if known[file]], [file for file in found if not known[file]]


def encoder_of(where: Location) -> str | None:
    """Return the model that a library was made by; None where nothing is yet."""
    if not writer(where).version():
        return None
    with open_at(where) as library:
        return library.model.name


def _look(file: Path, where: Location) -> tuple[str, Document | None]:
    """Return the sha256 of a file and its report, None if the library holds these bytes already."""
    data = load(file)
    hashed = hashlib.sha256(data).hexdigest()
    known = writer(where).holds(hashed)
    return hashed, None if known else parse(data, name=file.name)


def _put(
    file: Path,
    hashed: str,
    document: Document | None,
    where: Location,
    encoder: Callable[[], Encoder],
) -> Added:
    """Put a file into the library, as ``_look`` found it."""
    path = file.resolve()
    if document is None:
        if writer(where).holder(path) == hashed:
            return Added(file, "未变")
        linked = writer(where).link(hashed, path)
        if linked:
            return Added(file, linked)
        document = read(file)  # another program removed the report meanwhile
    return replace(insert(document, where, encoder=encoder(), path=path), file=file)


def insert(
    document: Document,
    where: Location,
    *,
    encoder: Encoder,
    path: Path | None = None,
    quiet: bool = False,
) -> Added:
    """Do the work of ``add`` for a document, but leave ``publish`` to the caller: once for many."""
    to = writer(where)
    to.create(encoder, lambda: np.stack([encoder.encode_query(fold(p)) for p in PROBES]))
    cut = passages(document)
    encoded = _encode(cut, document, encoder, quiet=quiet)
    headings = dict.fromkeys(part.section for part in outline(document) if part.section)
    made = prepared(document, cut, tuple(headings), encoded)
    outcome = to.write(made, path=path, model=encoder)
    return Added(Path(document.name), outcome, passages=len(cut))


def prepared(
    document: Document,
    cut: tuple[Passage, ...],
    headings: tuple[Section, ...],
    encoded: Vectors,
) -> Prepared:
    """Return a report ready to be written; ``encoded`` are the vectors of all its segments."""
    return Prepared(
        document,
        cut,
        headings,
        encoded,
        tuple(tuple(terms(index_text(p))) if p.segments else () for p in cut),
        tuple(_digest(passage) for passage in cut),
    )


def migrate(source: Location, target: Location) -> Iterator[Added]:
    """Copy what a library has and another lacks, without encoding; tell of each report.

    What the other has of the same file in another version stays, and this one is refused. Raises
    ``ReportError`` if either cannot be opened or they were made by different models.
    """
    to = writer(target)
    with open_at(source) as library:
        to.create(library.model, lambda: library.probes)
        try:
            for entry in library.entries():
                yield _copy(entry, library, to)
        finally:
            to.publish()


def _copy(entry: Entry, library: Store, to: Writer) -> Added:
    sha256, file = entry.document.sha256, Path(entry.document.name)
    outcome: Outcome = "未变"
    if not to.holds(sha256):
        if any(to.holder(path) for path in map(Path, entry.paths)):
            reason = "那里已有同一个文件的另一版，请在那里重新添加文件，或先移除它"
            return Added(file, None, f"没有搬“{file}”：{reason}。")
        cut = tuple(library.passages(document=sha256).values())
        document, headings = library.document(entry.id), library.headings(sha256)
        made = prepared(document, cut, headings, library.vectors(entry.id))
        outcome = to.write(made, path=None, model=library.model)
    for path in map(Path, entry.paths):
        if to.holder(path) is None:
            to.link(sha256, path)
    return Added(file, outcome, passages=entry.passages)


def remove(where: Location, id: int) -> Report:
    """Remove a report and return it. Raises ``ReportError`` if there is none of this id."""
    return writer(where).remove(id)


def publish(where: Location) -> None:
    """Write what is derived from what was added or removed."""
    writer(where).publish()


def settle(where: Location) -> None:
    """Seal what another program wrote, which it could not while this one read the library."""
    if isinstance(where, Path):
        with contextlib.suppress(ReportError, OSError):
            if (where / DATABASE).stat().st_size <= LARGE:  # hashing more would take seconds
                seal(where)


def index_text(passage: Passage, segment: Segment | None = None) -> str:
    """Return what is indexed for a passage, or for one of its segments.

    Items and passages have their section path in front; a field of the head or foot its names; a
    cell of a table what stands at the head of its column, and the cells the name of their row.
    Sentences and clauses stand alone: with the path they are found less often (hit@1 0.62 against
    0.67 for sentences, on the questions of seven provincial and national reports).
    """
    if passage.role == "表格":
        return fold(" ".join((*_context(passage), *_row(passage, segment))))
    if segment is None:
        return fold(" ".join((*_context(passage), passage.text)))
    text = passage.text[segment.start : segment.end]
    alone = segment.grain != "item" and passage.role not in _FIELD_NAMES
    return fold(text if alone else " ".join((*_context(passage), text)))


def _row(passage: Passage, segment: Segment | None) -> Iterator[str]:
    found = labelled(passage)
    if segment and segment.start > found[0].span[0]:
        yield found[0].text  # the name of the row, for cells far from it
    for cell in found:
        start, end = (segment.start, segment.end) if segment else cell.span
        held = passage.text[max(start, cell.span[0]) : min(end, cell.span[1])]
        if held:
            yield f"{cell.under[:_CONTEXT]} {held}" if cell.is_value else held


def _digest(passage: Passage) -> bytes:
    """Return 16 bytes that are the same for passages that say the same, white space aside.

    A row of a table says what its head and its section say with it.
    """
    of_table = (*passage.path, *passage.header_text) if passage.role in ("表格", "表头") else ()
    parts = (passage.kind, *of_table, passage.text)  # a plan never says the same as a result
    said = "\n".join("".join(fold(text).split()) for text in parts)
    return hashlib.sha256(said.encode()).digest()[:DIGEST]


def _context(passage: Passage) -> tuple[str, ...]:
    named = _FIELD_NAMES.get(passage.role)
    return (named,) if named else tuple(heading[:_CONTEXT] for heading in passage.path)


def _encode(
    cut: tuple[Passage, ...], document: Document, encoder: Encoder, *, quiet: bool
) -> Vectors:
    texts = [index_text(passage, segment) for passage in cut for segment in passage.segments]
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(
        total=len(texts), desc=f"编码 {document.name}", unit="片", disable=hidden, leave=False
    ) as bar:
        rows = [np.empty((0, encoder.dim), np.float32)]
        for start in range(0, len(texts), _BATCH):
            rows.append(encoder.encode_passages(texts[start : start + _BATCH]))
            bar.update(len(rows[-1]))
    return np.concatenate(rows)
