"""Choose the weights and the threshold of the search on the held-out reports.

The weights were weighed against two sets of others as well: see ``search.rerank``.

Prints what ``LEXICAL_WEIGHT``, ``READING_WEIGHT``, ``SLOPE``, ``OFFSET`` and ``FOUND_AT`` were
chosen by.
"""

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from index.encoder import Encoder, load_encoder
from index.library import insert, open_library, publish
from search.evaluation import calibration
from search.pipeline import Opened, look_at, prepare, rank, read
from search.query import normalise
from search.rerank import OFFSET, READ, READING_WEIGHT, SLOPE
from search.retrieve import LEXICAL_WEIGHT
from search.training import made_up
from search.training.data import Data, Example

Values = npt.NDArray[np.float64]
Line = tuple[float, float]

SEED = 20261124

_LEXICAL = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)
_READING = (0.0, 0.05, 0.1, 0.15, 0.2)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the search made of a question: a value for each candidate passage.

    ``dense`` and ``lexical`` are its scores before they are fused, ``holds`` the reader's logit, NaN
    where with no weights it could come first; ``right`` whether it holds the answer.
    """

    example: Example
    dense: Values
    lexical: Values
    holds: Values
    right: npt.NDArray[np.bool_]

    def order(self, lexical: float, reading: float, line: Line) -> npt.NDArray[np.int64]:
        """Return the candidates best first with these weights."""
        scores = fuse(self.dense, self.lexical, lexical)
        read = np.argsort(-scores, kind="stable")[:READ]
        scores[read] += reading * np.nan_to_num(sure(self.holds[read], line))
        return np.argsort(-scores, kind="stable")


def run(data: Data) -> None:
    """Ask every question on a held-out report; print what the choices give."""
    own = [example for example in data.examples if example.held_out]
    elsewhere = made_up.elsewhere(Data(data.reports, tuple(own)), 10_000, SEED)
    every = _ask_all(data, [*own, *elsewhere])
    strange = [each for each in every if each.example in elsewhere]
    asked = [each for each in every if each.example not in elsewhere]
    answered = [each for each in asked if each.example.place is not None]
    line = SLOPE, OFFSET
    for _ in range(3):  # which passage is first hangs on the curve a little
        line = fit(*_first(asked, line))
    print(f"{len(asked)} questions, {len(answered)} of them answered; slope, offset", *line)
    print("hit@1 and MRR\nlexical\\reading", *_READING, sep="\t")
    for lexical in _LEXICAL:
        print(lexical, *(_cell(answered, lexical, r, line) for r in _READING), sep="\t")
    holds, right = _first(asked, line)
    reports = np.array([each.example.report for each in asked])
    left_out = np.zeros_like(holds)
    for name in set(reports):
        out = reports == name
        left_out[out] = sure(holds[out], fit(holds[~out], right[~out]))
    error, _ = calibration(left_out, right)
    print(f"expected calibration error, each report left out in turn: {error:.3f}")
    given = np.array([each.example.place is not None for each in asked])
    odd, _ = _first(strange, line)
    print(f"threshold, answered kept, others refused, {len(odd)} of another place or year refused")
    for at in np.arange(0.05, 1.0, 0.05):
        kept, refused = sure(holds[given], line) >= at, sure(holds[~given], line) < at
        means = kept.mean(), refused.mean(), (sure(odd, line) < at).mean()
        print(f"{at:.2f}", *(f"{mean:.3f}" for mean in means), sep="\t")


def _first(asked: list[Asked], line: Line) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Return the reader's logit of what comes first for each question, and whether it is right."""
    best = [each.order(LEXICAL_WEIGHT, READING_WEIGHT, line)[0] for each in asked]
    pairs = list(zip(asked, best, strict=True))
    return np.array([e.holds[i] for e, i in pairs]), np.array([e.right[i] for e, i in pairs])


def _cell(answered: list[Asked], lexical: float, reading: float, line: Line) -> str:
    ranks = []
    for each in answered:
        places = np.flatnonzero(each.right[each.order(lexical, reading, line)])
        ranks.append(places[0] + 1 if len(places) else math.inf)
    found = np.array(ranks)
    return f"{(found == 1).mean():.3f} {(1 / found).mean():.3f}"


def sure(holds: Values, line: Line) -> Values:
    """Return what ``certainty`` makes of logits, with another curve."""
    return 1 / (1 + np.exp(-(line[0] * holds + line[1])))


def fuse(dense: Values, lexical: Values, weight: float) -> Values:
    """Return what ``retrieve`` makes of its two scores, with another weight."""
    return (dense + weight * lexical) / (1 + weight)


def fit(holds: Values, right: npt.NDArray[np.bool_]) -> Line:
    """Return slope and offset of the logistic curve nearest to what was right (Platt 1999)."""
    x = np.stack([holds, np.ones_like(holds)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):  # Newton's method
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x.T * (p * (1 - p))) @ x + 1e-9 * np.eye(2), x.T @ (right - p))
    return float(weights[0]), float(weights[1])


def _ask_all(data: Data, examples: list[Example]) -> list[Asked]:
    encoder = load_encoder()
    asked = []
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(sorted({e.report for e in examples}), desc="reports", mininterval=10):
            opened = _library(data, name, Path(folder) / name, encoder)
            asked += [_ask(e, data, opened) for e in examples if e.report == name]
    return asked


def _library(data: Data, name: str, folder: Path, encoder: Encoder) -> Opened:
    insert(data.reports[name].document, folder, encoder=encoder, quiet=True)
    publish(folder)
    return prepare(*open_library(folder, encoder=encoder))


def _ask(example: Example, data: Data, opened: Opened) -> Asked:
    report, asked = data.reports[example.report], normalise(example.question)
    right = None if example.place is None else report.passages[example.place].spans
    unread = rank(asked, replace(opened, reader=None))
    ranked = sorted(unread.ranked, key=lambda found: found.passage_id)
    held = opened.library.passages([found.passage_id for found in ranked])
    floor = opened.floor.mean
    dense = np.array([(found.cosine - floor) / (1 - floor) for found in ranked])
    lexical = np.array([found.lexical for found in ranked])
    best = {i for weight in _LEXICAL for i in _worth_reading(fuse(dense, lexical, weight))}
    ids = [ranked[i].passage_id for i in sorted(best)]
    readings = read(asked, opened, look_at(ids, unread.vector, opened.library))
    holds = np.array(
        [readings[f.passage_id].holds if f.passage_id in readings else math.nan for f in ranked]
    )
    answers = np.array([held[found.passage_id].spans == right for found in ranked])
    return Asked(example, dense, lexical, holds, answers)


def _worth_reading(scores: Values) -> list[int]:
    """Return the best few that with the most that reading adds could come first."""
    best: list[int] = np.argsort(-scores, kind="stable")[:READ].tolist()
    return [i for i in best if scores[i] + _READING[-1] >= scores[best[0]]]
