"""Choose the weights and the threshold of the search on the held-out reports.

Prints what ``LEXICAL_WEIGHT``, ``READING_WEIGHT``, ``SLOPE``, ``OFFSET`` and ``FOUND_AT`` were
chosen by.
"""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from index import vectors
from index.encoder import Encoder, load_encoder
from index.library import insert, open_library
from search.pipeline import Opened, prepare, rank
from search.query import normalise
from search.rerank import OFFSET, READING_WEIGHT, SLOPE
from search.retrieve import LEXICAL_WEIGHT
from search.training.data import Data, Example

Values = npt.NDArray[np.float64]

_LEXICAL = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)
_READING = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the search made of a question: a value for each candidate passage.

    ``dense`` and ``lexical`` are its scores before they are fused, ``holds`` the reader's logit, NaN
    where it was not read; ``right`` whether it holds the answer.
    """

    example: Example
    dense: Values
    lexical: Values
    holds: Values
    right: npt.NDArray[np.bool_]

    def order(self, lexical: float, reading: float) -> npt.NDArray[np.int64]:
        """Return the candidates best first with these weights."""
        fused = (self.dense + lexical * self.lexical) / (1 + lexical)
        sure = 1 / (1 + np.exp(-(SLOPE * self.holds + OFFSET)))
        sure[np.isnan(sure)] = 0.0
        return np.argsort(-(fused + reading * sure), kind="stable")


def run(data: Data) -> None:
    """Ask every question on a held-out report; print what the choices give."""
    asked = _ask_all(data)
    answered = [each for each in asked if each.example.place is not None]
    print(f"{len(asked)} questions, {len(answered)} of them answered; hit@1 and MRR")
    print("lexical\\reading", *_READING, sep="\t")
    for lexical in _LEXICAL:
        cells = [_cell(answered, lexical, reading) for reading in _READING]
        print(lexical, *cells, sep="\t")
    first = [each.order(LEXICAL_WEIGHT, READING_WEIGHT)[0] for each in asked]
    holds = np.array([each.holds[i] for each, i in zip(asked, first, strict=True)])
    right = np.array([each.right[i] for each, i in zip(asked, first, strict=True)])
    slope, offset = fit(holds, right)
    print(f"slope {slope:.2f} offset {offset:.2f}; threshold, answered kept, others refused")
    sure = 1 / (1 + np.exp(-(slope * holds + offset)))
    given = np.array([each.example.place is not None for each in asked])
    for at in np.arange(0.1, 1.0, 0.1):
        print(f"{at:.1f}\t{(sure[given] >= at).mean():.3f}\t{(sure[~given] < at).mean():.3f}")


def _cell(answered: list[Asked], lexical: float, reading: float) -> str:
    ranks = []
    for each in answered:
        places = np.flatnonzero(each.right[each.order(lexical, reading)])
        ranks.append(places[0] + 1 if len(places) else math.inf)
    found = np.array(ranks)
    return f"{(found == 1).mean():.3f} {(1 / found).mean():.3f}"


def fit(holds: Values, right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset of the logistic curve nearest to what was right (Platt 1999)."""
    x = np.stack([holds, np.ones_like(holds)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(50):  # Newton's method
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x.T * (p * (1 - p))) @ x + 1e-9 * np.eye(2), x.T @ (right - p))
    return float(weights[0]), float(weights[1])


def _ask_all(data: Data) -> list[Asked]:
    encoder = load_encoder()
    names = sorted({example.report for example in data.examples if example.held_out})
    asked = []
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(names, desc="reports", mininterval=10):
            opened = _library(data, name, Path(folder) / name, encoder)
            examples = [example for example in data.examples if example.report == name]
            asked += [_ask(example, data, opened) for example in examples]
    return asked


def _library(data: Data, name: str, folder: Path, encoder: Encoder) -> Opened:
    insert(data.reports[name].document, folder, encoder=encoder, quiet=True)
    vectors.publish(folder)
    return prepare(*open_library(folder, encoder=encoder))


def _ask(example: Example, data: Data, opened: Opened) -> Asked:
    report, ranking = data.reports[example.report], rank(normalise(example.question), opened)
    right = None if example.place is None else report.passages[example.place].spans
    held = opened.library.passages([found.passage_id for found in ranking.ranked])
    read = ranking.readings
    floor = opened.floor.mean
    rows = [
        (
            (found.cosine - floor) / (1 - floor),
            found.lexical,
            read[found.passage_id].holds if found.passage_id in read else math.nan,
            held[found.passage_id].spans == right,
        )
        for found in ranking.ranked
    ]
    dense, lexical, holds, answers = (np.array(column) for column in zip(*rows, strict=True))
    return Asked(example, dense, lexical, holds, answers)
