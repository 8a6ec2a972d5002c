"""Train the retriever: a question near to the segments that answer it, far from all others."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from index.e5 import E5
from search.training import model as models
from search.training.data import Data, Example, positives, segments

EPOCHS = 5
BATCH = 48  # questions
OF_ONE_REPORT = 6  # of these, so that the positives of some are hard negatives of others
HARD = 2  # mined negatives a question
AMONG = 30  # they are drawn from the nearest of this many segments of the report
RATE = 6e-4
TEMPERATURE = 0.03
SEED = 20261124
_GAIN = 0.001  # of MRR: less is nothing


@dataclass(frozen=True, slots=True)
class Corpus:
    """Segments of all reports in a row, their passages, and where each report's begin."""

    tokens: list[list[int]]
    passage: np.ndarray  # an id of its own for every passage of every report
    start: dict[str, int]
    stop: dict[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its tokens, and the corpus rows that answer it."""

    example: Example
    tokens: list[int]
    rows: list[int]
    number: int = 0


def train(data: Data, weights: E5, out: Path, *, epochs: int = EPOCHS) -> None:
    """Train on the reports that are not held out; print how it does on those that are.

    Ends with the first epoch that gains nothing on them.
    """
    random.seed(SEED)
    torch.manual_seed(SEED)
    corpus, asked = _prepare(data, weights)
    learned = [a for a in asked if not a.example.held_out]
    learned = [replace(each, number=i) for i, each in enumerate(learned)]
    judged = [a for a in asked if a.example.held_out]
    model = models.Adapted(weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = epochs * (len(learned) // BATCH)
    print(f"{len(learned)} questions, {steps} steps", flush=True)
    hard = [_any(corpus, each) for each in learned]
    mrr, told = report(model, corpus, judged)
    print("before", told, flush=True)
    step = 0
    for epoch in range(epochs):
        if epoch == 1:
            hard = _mine(model, corpus, learned)
        losses = []
        shown = tqdm(list(_batches(learned)), desc=f"epoch {epoch + 1}", mininterval=10)
        for batch in shown:
            for group in optimizer.param_groups:
                group["lr"] = RATE * models.schedule(step, steps)
            loss = _loss(model, corpus, batch, hard)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            step += 1
        before, (mrr, told) = mrr, report(model, corpus, judged)
        print(f"epoch {epoch + 1} loss {np.mean(losses):.3f} {told}", flush=True)
        notes = {
            "trained": f"{len(learned)} questions, {epoch + 1} of {epochs} epochs, seed {SEED}"
        }
        models.save(model.tensors(), out, notes)
        if mrr < before + _GAIN:
            break


def _prepare(data: Data, weights: E5) -> tuple[Corpus, list[Asked]]:
    tokens: list[list[int]] = []
    passage: list[int] = []
    start: dict[str, int] = {}
    stop: dict[str, int] = {}
    asked: list[Asked] = []
    before = 0
    for name, of in data.reports.items():
        cut = segments(of)
        start[name] = len(tokens)
        tokens += [weights.tokens("passage: " + text).ids for _, _, text in cut]
        passage += [before + place for place, _, _ in cut]
        stop[name] = len(tokens)
        before += len(of.passages)
        for example in (e for e in data.examples if e.report == name):
            rows = [start[name] + i for i in positives(example, cut)]
            if rows:
                asked.append(Asked(example, weights.tokens("query: " + example.stripped).ids, rows))
    return Corpus(tokens, np.array(passage), start, stop), asked


def _batches(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Yield batches of groups of questions on one report each."""
    by_report: dict[str, list[Asked]] = {}
    for each in random.sample(asked, len(asked)):
        by_report.setdefault(each.example.report, []).append(each)
    groups = [
        of[i : i + OF_ONE_REPORT]
        for of in by_report.values()
        for i in range(0, len(of), OF_ONE_REPORT)
    ]
    random.shuffle(groups)
    row = [each for group in groups for each in group]
    for i in range(0, len(row) - BATCH + 1, BATCH):
        yield row[i : i + BATCH]


def _loss(
    model: models.Adapted, corpus: Corpus, batch: Sequence[Asked], hard: Sequence[list[int]]
) -> torch.Tensor:
    """Cross entropy of the positive among all segments of the batch, other answers left out."""
    chosen = [random.choice(asked.rows) for asked in batch]
    pool = [row for asked in batch for row in _some(hard[asked.number])]
    rows = chosen + pool
    layers = model.merge()
    questions = model.embed(layers, [asked.tokens for asked in batch])
    passages = model.embed(layers, [corpus.tokens[row] for row in rows])
    scores = questions @ passages.T / TEMPERATURE
    own = corpus.passage[[asked.rows[0] for asked in batch]]
    same = torch.tensor(own[:, None] == corpus.passage[rows][None, :])
    same[torch.arange(len(batch)), torch.arange(len(batch))] = False
    scores = scores.masked_fill(same, -1e4)
    target = torch.arange(len(batch))
    return functional.cross_entropy(scores, target)


def _some(rows: list[int]) -> list[int]:
    return random.sample(rows, min(HARD, len(rows)))


def _any(corpus: Corpus, asked: Asked) -> list[int]:
    """Return segments of the question's report that do not answer it."""
    of = range(corpus.start[asked.example.report], corpus.stop[asked.example.report])
    drawn = random.sample(of, min(len(of), 2 * AMONG))
    return [row for row in drawn if corpus.passage[row] != corpus.passage[asked.rows[0]]][:AMONG]


@torch.no_grad()
def _mine(model: models.Adapted, corpus: Corpus, learned: Sequence[Asked]) -> list[list[int]]:
    """Return for every question the nearest segments of its report that do not answer it."""
    layers = model.merge()
    vectors = model.embed(layers, corpus.tokens)
    questions = model.embed(layers, [asked.tokens for asked in learned])
    mined = []
    for asked, question in zip(learned, questions, strict=True):
        start, stop = corpus.start[asked.example.report], corpus.stop[asked.example.report]
        near = torch.argsort(-(vectors[start:stop] @ question)).numpy() + start
        others = near[corpus.passage[near] != corpus.passage[asked.rows[0]]]
        mined.append(others[:AMONG].tolist())
    return mined


@torch.no_grad()
def report(model: models.Adapted, corpus: Corpus, judged: Sequence[Asked]) -> tuple[float, str]:
    """Return MRR, and with hit@1 and hit@5 as words.

    The best segment speaks for its passage, among those of the question's report.
    """
    names = sorted({asked.example.report for asked in judged})
    rows = [i for name in names for i in range(corpus.start[name], corpus.stop[name])]
    layers = model.merge()
    vectors = dict(zip(rows, model.embed(layers, [corpus.tokens[i] for i in rows]), strict=True))
    questions = model.embed(layers, [asked.tokens for asked in judged])
    ranks = []
    for asked, question in zip(judged, questions, strict=True):
        of = range(corpus.start[asked.example.report], corpus.stop[asked.example.report])
        best: dict[int, float] = {}
        for i, score in zip(
            of, (torch.stack([vectors[i] for i in of]) @ question).tolist(), strict=True
        ):
            best[corpus.passage[i]] = max(best.get(corpus.passage[i], -1.0), score)
        own = best[corpus.passage[asked.rows[0]]]
        ranks.append(1 + sum(score > own for score in best.values()))
    found = np.array(ranks)
    by_type = Counter(a.example.type for a in judged)
    parts = [
        f"hit@1 {(found == 1).mean():.3f} hit@5 {(found <= 5).mean():.3f} MRR {(1 / found).mean():.3f}"
    ]
    for type in by_type:
        own_ranks = found[[a.example.type == type for a in judged]]
        parts.append(f"{type} {(own_ranks == 1).mean():.3f}")
    return float((1 / found).mean()), " | ".join(parts)
