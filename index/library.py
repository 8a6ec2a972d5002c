"""The pipeline that puts a report into a library, and where the libraries are."""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
from platformdirs import user_data_path
from tqdm import tqdm

from index import changes, vectors
from index.documents import read
from index.encoder import Encoder, Vectors, load_encoder
from index.errors import ReportError
from index.outline import outline
from index.passages import passages
from index.probes import PROBES
from index.store import Library
from index.terms import fold, terms
from index.types import Document, Passage, Role, Segment

DEFAULT_REPORTS = Path(__file__).with_name("reports")
_BATCH = 64

# What people call the fields of a 公文; goes into the index text so that 「谁签发的」 finds 签发人.
_FIELD_NAMES: dict[Role, str] = {
    "发文机关": "发文机关 发文单位 哪个单位发的文件",
    "发文字号": "发文字号 文号 文件编号 第几号文件",
    "签发人": "签发人 谁签发的 哪位领导签发",
    "标题": "标题 题目 报告名称 文件名称",
    "主送机关": "主送机关 收文单位 报送对象 报给谁 发给谁 抬头",
    "成文日期": "成文日期 落款日期 落款是哪天 什么时候发的",
}


def default_folder() -> Path:
    """Return where the default library lives: ``YIJU_LIBRARY``, else the user data folder."""
    chosen = os.environ.get("YIJU_LIBRARY")
    return Path(chosen) if chosen else user_data_path("yiju", appauthor=False) / "library"


def ensure_default(folder: Path, *, model: str | None = None) -> Encoder | None:
    """Build the default library of the reports in the package, if it is not there.

    Returns the encoder if one was loaded for that. Raises ``ReportError`` if it cannot be built.
    """
    if changes.version(folder):
        return None
    encoder = load_encoder(model)
    for file in sorted(DEFAULT_REPORTS.glob("*.md")):
        add(file, folder, encoder=encoder)
    return encoder


def open_library(
    folder: Path | None = None, *, encoder: Encoder | None = None
) -> tuple[Library, Encoder]:
    """Open a library with the encoder it was made by; build the default one if it is not there.

    ``encoder`` is one already loaded. Raises ``ReportError`` if the library cannot be opened or
    was made by another encoder.
    """
    if folder is None:
        folder = default_folder()
        encoder = ensure_default(folder) or encoder
    library = Library.open(folder)
    try:
        if encoder is None or encoder.name != library.encoder_name:
            encoder = load_encoder(library.encoder_name, offline=True)
        library.check_encoder(encoder)
    except BaseException:
        library.close()
        raise
    return library, encoder


def add(file: Path, folder: Path, *, encoder: Encoder) -> bool:
    """Add a report to a library, made if it is not there; False if it holds these bytes already.

    Shows a progress bar on a terminal. Raises ``ReportError`` and leaves the library as it was
    if the file cannot be read, the library cannot be written or was made by another encoder.
    """
    added = insert(read(file), folder, encoder=encoder)
    publish(folder)
    return added


def insert(document: Document, folder: Path, *, encoder: Encoder, quiet: bool = False) -> bool:
    """Do the work of ``add``, but leave ``publish`` to the caller: once for many."""
    changes.create(folder, encoder, [fold(probe) for probe in PROBES])
    if changes.holds(folder, document.sha256):
        return False
    parts = outline(document)
    cut = passages(document)
    return changes.write(
        folder,
        document,
        cut,
        headings=list(dict.fromkeys(part.section for part in parts if part.section)),
        vectors=_encode(cut, document, encoder, quiet=quiet),
        terms=[terms(index_text(passage)) for passage in cut],
        encoder=encoder,
    )


def publish(folder: Path) -> None:
    """Write the FAISS file, if it is not that of the newest generation.

    What is committed stays so if that fails: readers build the index from the rows.
    """
    with contextlib.suppress(ReportError):
        vectors.publish(folder)


def index_text(passage: Passage, segment: Segment | None = None) -> str:
    """Return what is indexed for a passage, or for one of its segments.

    Items and passages have their section path in front; a field of the head or foot its names.
    Sentences and clauses stand alone: with the path they are found less often (hit@1 0.62 against
    0.67 for sentences, on the questions of seven provincial and national reports).
    """
    if segment is None:
        return fold(" ".join((*_context(passage), passage.text)))
    text = passage.text[segment.start : segment.end]
    alone = segment.grain != "item" and passage.role not in _FIELD_NAMES
    return fold(text if alone else " ".join((*_context(passage), text)))


def _context(passage: Passage) -> tuple[str, ...]:
    named = _FIELD_NAMES.get(passage.role)
    return (named,) if named else passage.path


def _encode(
    cut: tuple[Passage, ...], document: Document, encoder: Encoder, *, quiet: bool
) -> Vectors:
    texts = [index_text(passage, segment) for passage in cut for segment in passage.segments]
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(total=len(texts), desc=f"编码 {document.name}", unit="段", disable=hidden) as bar:
        rows = [np.empty((0, encoder.dim), np.float32)]
        for start in range(0, len(texts), _BATCH):
            rows.append(encoder.encode_passages(texts[start : start + _BATCH]))
            bar.update(len(rows[-1]))
    return np.concatenate(rows)
