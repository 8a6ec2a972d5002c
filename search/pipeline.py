"""From a question to cited passages."""

import threading
from dataclasses import dataclass
from pathlib import Path

from index.changes import generation
from index.encoder import Encoder
from index.errors import ReportError
from index.library import default_folder, open_library
from index.store import Library
from search.marks import marks
from search.query import Query, check_top_k, normalise, without_regions
from search.retrieve import Noise, Ranked, bears, noise, retrieve, term_weights
from search.types import Hit, Results


@dataclass(frozen=True, slots=True)
class Opened:
    """A library with its encoder and what is measured of it once."""

    library: Library
    encoder: Encoder
    floor: Noise
    regions: tuple[str, ...]


_opened: dict[Path, Opened] = {}
_opening = threading.Lock()


def search(query: str, *, top_k: int = 5, library: Path | str | None = None) -> Results:
    """Return the passages that answer a question, best first, at most ``top_k``.

    ``library`` is a folder; without it the default library is used, and built first if it is
    not there. A library is opened once and again when it has changed. Thread-safe.
    Raises ``ReportError``, a Chinese sentence for the user, and nothing else.
    """
    asked = normalise(query)
    limit = check_top_k(top_k)
    opened = open_once(library)
    weights = term_weights(opened.library, asked)
    ranked = rank(asked, opened, weights=weights)
    passages = opened.library.passages([found.passage_id for found in ranked[:limit]])
    hits = tuple(
        Hit(passage, found.score, marks(passage.text, found.matches, weights, opened.floor.mean))
        for found, passage in ((found, passages[found.passage_id]) for found in ranked[:limit])
    )
    return Results(query, hits, bears(ranked, opened.floor))


def rank(asked: Query, opened: Opened, *, weights: dict[str, float] | None = None) -> list[Ranked]:
    """Return every candidate passage for a question, best first."""
    vector = opened.encoder.encode_query(without_regions(asked.text, opened.regions))
    known = term_weights(opened.library, asked) if weights is None else weights
    return retrieve(opened.library, vector, known, opened.floor)


def open_once(library: Path | str | None = None) -> Opened:
    """Return a library opened at its newest generation, and its encoder."""
    if not isinstance(library, str | Path | None):
        raise ReportError(
            f"资料库应当是一个文件夹的路径，收到的是 {type(library).__name__}，请给出路径或留空。"
        )
    folder = default_folder() if library is None else Path(library)
    with _opening:
        known = _opened.get(folder)
        if known and known.library.generation == generation(folder):
            return known
        fresh, encoder = open_library(None if library is None else folder)
        regions = {entry.document.region for entry in fresh.entries()} - {None}
        opened = Opened(fresh, encoder, noise(fresh), tuple(sorted(filter(None, regions))))
        _opened[folder] = opened
        return opened
