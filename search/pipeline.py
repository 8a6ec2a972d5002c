"""From a question to cited passages."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from index.changes import version
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


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates for a question, best first; ``weights`` are its terms'."""

    weights: dict[str, float]
    ranked: list[Ranked]
    found: bool


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
    return answer(asked, open_once(library), top_k=limit)


def answer(asked: Query, opened: Opened, *, top_k: int) -> Results:
    """Return the best passages of an opened library for a checked question."""
    ranking = rank(asked, opened)
    best = ranking.ranked[:top_k]
    passages = opened.library.passages([found.passage_id for found in best])
    floor = opened.floor.mean
    hits = tuple(
        Hit(passage, found.score, marks(passage.text, found.matches, ranking.weights, floor))
        for found, passage in ((found, passages[found.passage_id]) for found in best)
    )
    return Results(asked.question, hits, ranking.found)


def rank(asked: Query, opened: Opened) -> Ranking:
    """Return every candidate passage for a question, and whether any bears on it."""
    weights = term_weights(opened.library, asked)
    vector = opened.encoder.encode_query(without_regions(asked.text, opened.regions))
    ranked = retrieve(opened.library, vector, weights, opened.floor)
    found = bears(ranked, opened.floor) or opened.library.holds_all(asked.terms)
    return Ranking(weights, ranked, found)


def open_once(library: Path | str | None = None) -> Opened:
    """Return a library opened at its newest generation, and its encoder."""
    if library is not None and not (isinstance(library, str | os.PathLike) and str(library)):
        raise ReportError(
            "资料库应当是一个文件夹的路径，收到的是空的或别的东西，请给出路径，或不写这个参数。"
        )
    folder = (default_folder() if library is None else Path(library)).absolute()
    with _opening:
        known = _opened.get(folder)
        if known and known.library.version == version(folder):
            return known
        loaded = known.encoder if known else None
        fresh, encoder = open_library(None if library is None else folder, encoder=loaded)
        regions = {entry.document.region for entry in fresh.entries()}
        opened = Opened(fresh, encoder, noise(fresh), tuple(sorted(filter(None, regions))))
        _opened[folder] = opened
        return opened
