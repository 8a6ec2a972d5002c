"""Train the reader: where in a stretch of text the answer to a question stands, and if at all."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from index.e5 import DIM, E5, Floats, by_length
from index.probes import PROBES
from index.types import Span
from search.reader import Input, Window, above, answer_span, assemble, likeliest, window_around
from search.training import made_up
from search.training import model as models
from search.training.data import Cut, Data, Example, Report, positives, segments

EPOCHS = 3
BATCH = 8  # questions, with their windows
NEGATIVES = 2  # windows beside the one that answers
NEAREST = 6  # they are drawn from the best this many that do not answer
RATE = 6e-4
RANK_WEIGHT = 0.5
NULL_WEIGHT = 0.5  # of telling by the span that there is no answer
HEADS = 40  # made-up heads of documents
KEYWORDS = 300  # made-up key words
ELSEWHERE = 500  # questions with another place or year
SEED = 20261124
_TOKENS = 2048  # that run together, padding included
_TOGETHER = 256  # windows


@dataclass(frozen=True, slots=True)
class Case:
    """A question with windows of its report that answer it and others that do not."""

    example: Example
    right: list[Window]
    wrong: list[Window]
    best: list[Window]  # as the retriever ranks them


class Reader(nn.Module):
    """The model, adapted from where the retriever stands, with its two heads."""

    def __init__(self, weights: E5, retriever: models.Adapted) -> None:
        super().__init__()
        self.body = models.Adapted(weights)
        self.body.load_state_dict(retriever.state_dict())
        self.span = nn.Linear(DIM, 2)
        self.holds = nn.Linear(DIM, 1)

    def forward(
        self, layers: models.Layers, inputs: Sequence[Input]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits: of each token being the first and the last of the answer, [n, length, 2],
        and of the window holding an answer, [n]. The very first token stands for there being none;
        others outside the window have -1e4.
        """  # noqa: D205
        longest = max(len(each.ids) for each in inputs)
        spans, holds, order = [], [], []
        for batch in by_length([len(each.ids) for each in inputs], _TOKENS):
            hidden, mask = self.body.hidden(layers, [inputs[i].ids for i in batch])
            outside = torch.ones_like(mask)
            outside[:, 0] = False
            for row, i in enumerate(batch):
                outside[row, inputs[i].first : inputs[i].first + len(inputs[i].spans)] = False
            own = self.span(hidden).masked_fill(outside[..., None], -1e4)
            spans.append(functional.pad(own, (0, 0, 0, longest - own.shape[1]), value=-1e4))
            holds.append(self.holds(hidden[:, 0]).squeeze(-1))
            order += batch
        back = torch.argsort(torch.tensor(order))
        return torch.cat(spans)[back], torch.cat(holds)[back]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the adapter and the heads."""
        heads = {
            "span.w": self.span.weight,
            "span.b": self.span.bias,
            "holds.w": self.holds.weight,
            "holds.b": self.holds.bias,
        }
        held = {name: tensor.detach().contiguous() for name, tensor in heads.items()}
        return {**self.body.tensors(), **held}


@torch.no_grad()
def cases(data: Data, weights: E5, retriever: models.Adapted) -> list[Case]:
    """Return every question with the windows that the retriever finds for it."""
    chosen = random.Random(SEED)
    made = []
    layers = retriever.merge()
    for name, of in tqdm(data.reports.items(), desc="windows", mininterval=10):
        cut = segments(of)
        examples = [e for e in data.examples if e.report == name]
        examples += [Example(name, probe, "offtopic", probe) for probe in chosen.sample(PROBES, 3)]
        texts = [weights.tokens("passage: " + text).ids for _, _, text in cut]
        vectors = retriever.embed(layers, texts)
        questions = [weights.tokens("query: " + e.stripped).ids for e in examples]
        asked = retriever.embed(layers, questions)
        for example, scores in zip(examples, (asked @ vectors.T).numpy(), strict=True):
            made.append(_case(example, of, cut, scores))
    return made


def _case(example: Example, of: Report, cut: Sequence[Cut], scores: Floats) -> Case:
    right: list[Window] = []
    best: list[Window] = []
    wrong: list[Window] = []
    for i in np.argsort(-scores, kind="stable")[:60]:
        place, segment, _ = cut[i]
        window = window_around(of.passages[place], segment)
        if any(_overlap(window, other) for other in best):
            continue
        best.append(window)
        if len(best) == NEAREST + 2:
            break
    if example.place is not None:
        held = {
            window_around(of.passages[example.place], cut[i][1]) for i in positives(example, cut)
        }
        right = [w for w in held if _holds(example, w)]
        right = sorted(right, key=lambda w: (w.start, w.end))
    if example.near:
        place, span = example.near
        at = [i for i, (p, s, _) in enumerate(cut) if p == place and s.start <= span[0] < s.end]
        wrong = [window_around(of.passages[place], cut[at[0]][1])] if at else []
    answer = _said(example, of)
    wrong += [w for w in best if not (answer and answer in w.text)]
    return Case(example, right, wrong[:NEAREST], best)


def _said(example: Example, of: Report) -> str:
    if example.place is None or example.answer is None:
        return ""
    return of.passages[example.place].text[slice(*example.answer)]


def _overlap(one: Window, other: Window) -> bool:
    return one.passage is other.passage and one.start < other.end and other.start < one.end


def _holds(example: Example, window: Window) -> bool:
    """Whether a window holds the place of an answer; it must be of the same passage."""
    return bool(
        example.answer and window.start <= example.answer[0] and example.answer[1] <= window.end
    )


def train(
    data: Data, weights: E5, retriever: models.Adapted, out: Path, *, epochs: int = EPOCHS
) -> None:
    """Train on the reports that are not held out; print how it does on those that are."""
    random.seed(SEED)
    torch.manual_seed(SEED)
    heads, asked_of_heads = made_up.heads(HEADS, SEED)
    words = made_up.keywords(data, KEYWORDS, SEED)
    others = made_up.elsewhere(data, ELSEWHERE, SEED)
    more = Data({**data.reports, **heads}, (*data.examples, *asked_of_heads, *words, *others))
    every = cases(more, weights, retriever)
    learned = [c for c in every if not c.example.held_out and (c.right or c.example.place is None)]
    asked = set(map(id, data.examples))
    judged = [c for c in every if c.example.held_out and id(c.example) in asked]
    model = Reader(weights, retriever)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = epochs * len(_batches(learned))
    print(f"{len(learned)} questions, {steps} steps", flush=True)
    step = 0
    for epoch in range(epochs):
        losses = []
        for batch in tqdm(_batches(learned), desc=f"epoch {epoch + 1}", mininterval=10):
            for group in optimizer.param_groups:
                group["lr"] = RATE * models.schedule(step, steps)
            parts = _losses(model, weights, batch)
            loss = parts[0] + parts[1] + RANK_WEIGHT * parts[2]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append([p.item() for p in parts])
            step += 1
        span, holds, rank = np.mean(losses, axis=0)
        print(
            f"epoch {epoch + 1} span {span:.3f} holds {holds:.3f} rank {rank:.3f}",
            report(model, weights, judged),
            flush=True,
        )
        notes = {
            "trained": f"{len(learned)} questions, {epoch + 1} of {epochs} epochs, seed {SEED}"
        }
        models.save(model.tensors(), out, notes)


def _losses(model: Reader, weights: E5, batch: Sequence[Case]) -> tuple[torch.Tensor, ...]:
    """Return the losses of spans, of holding, and of order within a question and within a pair."""
    drawn = [(number, *each) for number, case in enumerate(batch) for each in _drawn(case)]
    inputs = [
        assemble(weights, batch[n].example.question, _header(window), window.text)
        for n, window, _ in drawn
    ]
    edges = [_tokens(read, answer) for read, (_, _, answer) in zip(inputs, drawn, strict=True)]
    spans, holds = model(model.body.merge(), inputs)
    answered = torch.tensor([answer is not None for _, _, answer in drawn])
    span = functional.cross_entropy(
        spans.transpose(1, 2).reshape(-1, spans.shape[1]),
        torch.tensor(edges).reshape(-1),
        reduction="none",
    )
    span = span.view(-1, 2).mean(1)
    span = _mean(span[answered]) + NULL_WEIGHT * _mean(span[~answered])
    held = functional.binary_cross_entropy_with_logits(holds, answered.float())
    of = [[i for i, each in enumerate(drawn) if each[0] == n] for n in range(len(batch))]
    groups = [rows for rows, case in zip(of, batch, strict=True) if case.right]
    groups += [
        [of[n][0], of[m][0]]
        for n, case in enumerate(batch)
        for m, other in enumerate(batch)
        if case.right and n != m and case.example.pair and case.example.pair == other.example.pair
    ]
    first = torch.tensor([0])
    ranks = [functional.cross_entropy(holds[rows][None], first) for rows in groups]
    return span, held, _mean(torch.stack(ranks) if ranks else holds[:0])


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.sum() / max(1, len(values))


def _drawn(case: Case) -> list[tuple[Window, Span | None]]:
    """Return windows to read with a question, each with its answer's span in it: the first is the
    one that answers, or else the one that only looks so.
    """  # noqa: D205
    wrong = case.wrong
    chosen: list[tuple[Window, Span | None]] = []
    if case.right:
        window = random.choice(case.right)
        assert case.example.answer
        start, end = case.example.answer
        chosen.append((window, (start - window.start, end - window.start)))
    elif case.example.near and wrong:
        chosen.append((wrong[0], None))
        wrong = wrong[1:]
    count = NEGATIVES if case.right else NEGATIVES - len(chosen)
    return [*chosen, *((w, None) for w in random.sample(wrong, min(count, len(wrong))))]


def _batches(learned: Sequence[Case]) -> list[list[Case]]:
    """Return the questions in batches by chance, the two of a pair together."""
    units: dict[str, list[Case]] = {}
    for number, case in enumerate(learned):
        units.setdefault(case.example.pair or str(number), []).append(case)
    order = [case for unit in random.sample(list(units.values()), len(units)) for case in unit]
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def _header(window: Window) -> str:
    """Return what stands above, now and then less of it, so that it is not learned by heart."""
    words = above(window.passage).split(" ")
    return " ".join(words if random.random() < 0.8 else words[1:])


def _tokens(read: Input, answer: Span | None) -> tuple[int, int]:
    """Return the first and last token of an answer in a window; the very first where there is none."""
    start, end = answer or (0, 0)
    inside = [i for i, (a, b) in enumerate(read.spans, read.first) if a < end and start < b]
    return (inside[0], inside[-1]) if inside else (0, 0)


@torch.no_grad()
def predict(
    model: Reader, weights: E5, pairs: Sequence[tuple[str, Window]]
) -> list[tuple[float, int, int]]:
    """Return for each question and window the logit of holding, and the answer in the passage."""
    inputs = [assemble(weights, q, above(w.passage), w.text) for q, w in pairs]
    out: list[tuple[float, int, int]] = [(0.0, 0, 0)] * len(inputs)
    layers = model.body.merge()
    for start in range(0, len(inputs), _TOGETHER):
        spans, holds = model(layers, inputs[start : start + _TOGETHER])
        for i, (edges, hold) in enumerate(zip(spans, holds, strict=True), start):
            span, margin = likeliest(edges.numpy(), inputs[i])
            out[i] = (float(hold) + margin, *answer_span(pairs[i][1], *span))
    return out


def report(model: Reader, weights: E5, judged: Sequence[Case], top: int = 4) -> str:
    """Return how spans, order and refusals are on the held-out reports."""
    pairs = [(c.example.question, w) for c in judged for w in c.best[:top]]
    gold = [c for c in judged if c.right]
    pairs += [(c.example.question, c.right[0]) for c in gold]
    said = predict(model, weights, pairs)
    exact: dict[str, list[bool]] = {}
    first: list[tuple[bool, bool]] = []
    scores: dict[bool, list[float]] = {True: [], False: []}
    at = 0
    for case in judged:
        part = said[at : at + len(case.best[:top])]
        at += len(part)
        scores[case.example.place is not None].append(max(p[0] for p in part))
        if case.example.place is not None:
            right = [
                _holds(case.example, w) and w.passage.number == case.example.place + 1
                for w in case.best[:top]
            ]
            first.append((right[0], right[int(np.argmax([p[0] for p in part]))]))
    for case, (_, start, end) in zip(gold, said[at:], strict=True):
        answer = case.example.answer
        exact.setdefault(case.example.type, []).append((start, end) == answer)
    positive, negative = np.array(scores[True]), np.array(scores[False])
    auc = float((positive[:, None] > negative[None]).mean())
    refused = float((negative < np.quantile(positive, 0.07)).mean())
    parts = [
        f"AUC {auc:.3f} refused {refused:.3f} at 0.93 kept",
        f"first {np.mean([f[0] for f in first]):.3f} -> {np.mean([f[1] for f in first]):.3f}",
    ]
    parts += [f"{k} exact {np.mean(v):.3f}" for k, v in exact.items()]
    return " | ".join(parts)
