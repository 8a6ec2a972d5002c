"""Score the search on questions with known answers: ``python -m search.evaluation FILE``.

hit@k is the share of answerable questions with a counting hit among the first k passages; MRR the
mean of 1 / rank of the first. A hit counts if it holds a quote of the answer (white space aside)
and, where the question names its document, is from it.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from index.documents import parse
from index.encoder import load_encoder
from index.errors import ReportError
from index.library import insert, publish, writer
from index.terminal import Parser, run
from index.terms import fold
from index.types import Passage
from search.pipeline import Opened, Ranking, open_once, rank
from search.query import normalise, without_regions
from search.retrieve import Ranked

_BLANK = re.compile(r"\s+")
_PARAGRAPH_READ = 480  # characters of a paragraph that an encoder of 512 tokens surely reads


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what answers it: any of the quotes; none if the library does not answer.

    ``answers`` are the short forms that count as exact.
    """

    text: str
    type: str
    quotes: tuple[str, ...]
    document: str | None
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Means over a group of answerable questions."""

    count: int
    hit_1: float
    hit_3: float
    hit_5: float
    mrr: float


Order = Callable[[Question, list[Ranked]], Sequence[int]]
"""From the candidates for a question to passage ids, best first."""


def load_questions(file: Path) -> tuple[Question, ...]:
    """Read questions from a JSON Lines file. Raises ``ReportError`` if it cannot be read."""
    try:
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
        return tuple(_question(row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ReportError(
            f"不能读取问题集“{file}”：内容或路径不对，请检查它是否为每行一个问题的 JSONL。"
        ) from exc


def _question(row: Any) -> Question:
    """Read a question in any of three forms: ``quotes``, ``answers`` with ``text``, ``quote``."""
    if "quotes" in row:
        quotes = row["quotes"]
    elif "answers" in row:
        quotes = [answer["text"] for answer in row["answers"]]
    else:
        quotes = [row["quote"]] if row["quote"] else []
    return Question(
        text=str(row["query"]),
        type=str(row.get("type", "未分类")),
        quotes=tuple(_BLANK.sub("", str(quote)) for quote in quotes),
        document=row.get("passage_id"),
        answers=tuple(_short(row)) if quotes else (),
    )


def _short(row: Any) -> Iterator[str]:
    """Yield the short answers, one with a note in brackets also without it."""
    texts = (
        [answer["text"] for answer in row["answers"]]
        if "answers" in row
        else [row.get("answer", "")]
    )
    for text in filter(None, map(_bare, texts)):
        yield text
        yield re.sub(r"\([^()]*\)$", "", text)


def _bare(text: str) -> str:
    return _BLANK.sub("", fold(text))


def answers(passage: Passage, question: Question) -> bool:
    """Whether a passage holds the answer to a question."""
    if question.document not in (None, passage.document.name):
        return False
    text = _BLANK.sub("", passage.text)
    return any(quote in text for quote in question.quotes)


def score(ranks: Iterable[int | None]) -> Score:
    """Return the means over the ranks, from 1, of the first counting hit; None if there is none."""
    found = np.array([np.inf if rank is None else rank for rank in ranks])
    if not len(found):
        return Score(0, 0.0, 0.0, 0.0, 0.0)
    hits = [float((found <= k).mean()) for k in (1, 3, 5)]
    return Score(len(found), hits[0], hits[1], hits[2], float((1 / found).mean()))


class Evaluation:
    """Every question asked once of an opened library."""

    def __init__(self, questions: Sequence[Question], opened: Opened) -> None:
        self._opened = opened
        self._passages = {
            id: passage
            for entry in opened.library.entries()
            for id, passage in opened.library.passages(document=entry.document.sha256).items()
        }
        shown = tqdm(questions, desc="提问", unit="题", disable=not sys.stderr.isatty())
        self._asked = [(q, rank(normalise(q.text), opened)) for q in shown]

    def by_type(self) -> dict[str, Score]:
        """Return the scores of the search as it is, by type of question and for the whole."""
        types = list(dict.fromkeys(q.type for q, _ in self._asked if q.quotes))
        scores = {type: self._score(_fused, type) for type in types}
        return {**scores, "全部": self._score(_fused)}

    def ablation(self) -> dict[str, Score]:
        """Return the scores with parts of the search left out."""
        return {
            "整段向量": self._score(self._paragraph_ranking()),
            "细粒度向量": self._score(lambda _, ranked: _by(ranked, lambda r: r.cosine)),
            "BM25 二元组": self._score(lambda _, ranked: _by(ranked, lambda r: r.lexical)),
            "融合": self._score(_fused),
        }

    def refused(self) -> dict[str, tuple[int, int]]:
        """Return how many questions of how many were told that nothing was found."""
        groups: dict[str, list[bool]] = {}
        for question, ranking in self._asked:
            group = "有答案" if question.quotes else question.type
            groups.setdefault(group, []).append(not ranking.found)
        return {group: (sum(told), len(told)) for group, told in groups.items()}

    def exact(self) -> dict[str, tuple[float, float, int]]:
        """Return by type the share of answers that are the expected one, and the number of questions.

        The second share is of those that hold it or are held by it. What is not answered is wrong.
        """
        groups: dict[str, list[tuple[bool, bool]]] = {}
        for question, ranking in self._asked:
            if question.answers:
                said = _bare(self._said(ranking))
                same = said in question.answers
                near = same or any(said and (said in a or a in said) for a in question.answers)
                groups.setdefault(question.type, []).append((same, near))
        shares = {type: np.mean(rows, axis=0).tolist() for type, rows in groups.items()}
        return {type: (same, near, len(groups[type])) for type, (same, near) in shares.items()}

    def _said(self, ranking: Ranking) -> str:
        """Return the answer as ``search`` gives it, empty if it gives none."""
        said = ranking.answer
        return said.window.passage.text[slice(*said.span)] if said else ""

    def calibration(self) -> tuple[float, list[tuple[float, int, float]]]:
        """Return how well ``confidence`` tells that the first passage answers: see ``calibration``."""
        sure = self._sure()
        right = np.array(
            [
                bool(ranking.ranked)
                and answers(self._passages[ranking.ranked[0].passage_id], question)
                for question, ranking in self._asked
            ]
        )
        return calibration(sure, right)

    def _sure(self) -> npt.NDArray[np.float64]:
        """Return the confidences; without a reader, 1 where something was found."""
        asked = (ranking for _, ranking in self._asked)
        return np.array([r.found if r.confidence is None else r.confidence for r in asked], float)

    def curve(self) -> list[tuple[float, float, float]]:
        """Return thresholds with the shares of questions rightly kept and rightly refused."""
        sure = self._sure()
        given = np.array([bool(question.quotes) for question, _ in self._asked])
        return [
            (at, float((sure[given] >= at).mean()), float((sure[~given] < at).mean()))
            for at in np.arange(0.1, 1.0, 0.1).round(1).tolist()
        ]

    def _score(self, order: Order, type: str | None = None) -> Score:
        return score(
            next(
                (
                    place
                    for place, id in enumerate(order(question, asked.ranked), 1)
                    if answers(self._passages[id], question)
                ),
                None,
            )
            for question, asked in self._asked
            if question.quotes and type in (None, question.type)
        )

    def _paragraph_ranking(self) -> Order:
        ids = sorted(self._passages)
        texts = [fold(self._passages[id].text)[:_PARAGRAPH_READ] for id in ids]
        encoder, regions = self._opened.encoder, self._opened.regions
        shown = tqdm(range(0, len(ids), 32), desc="整段编码", disable=not sys.stderr.isatty())
        encoded = np.concatenate([encoder.encode_passages(texts[i : i + 32]) for i in shown])

        def ranking(question: Question, _: list[Ranked]) -> Sequence[int]:
            asked = without_regions(normalise(question.text).text, regions)
            order = np.argsort(-(encoded @ encoder.encode_query(asked)), kind="stable")
            return [ids[i] for i in order]

        return ranking


def calibration(
    sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> tuple[float, list[tuple[float, int, float]]]:
    """Return the expected calibration error over ten equal bins (Guo et al., ICML 2017).

    And of each bin that is not empty: mean confidence, size, share of right ones.
    """
    bins = np.minimum((sure * 10).astype(int), 9)
    filled = [
        (float(sure[bins == b].mean()), int((bins == b).sum()), float(right[bins == b].mean()))
        for b in np.unique(bins)
    ]
    error = sum(count * abs(mean - share) for mean, count, share in filled) / max(len(sure), 1)
    return error, filled


def _fused(_: Question, ranked: list[Ranked]) -> Sequence[int]:
    return [found.passage_id for found in ranked]


def _by(ranked: list[Ranked], value: Callable[[Ranked], float]) -> Sequence[int]:
    return [r.passage_id for r in sorted(ranked, key=lambda r: (-value(r), r.passage_id))]


def build(passages: Path, folder: Path, *, model: str | None = None) -> None:
    """Make a library of a JSON Lines file of texts, each a document named by its id."""
    try:
        rows = [json.loads(line) for line in passages.read_text("utf-8").splitlines()]
        documents = [parse(row["text"].encode(), name=row["id"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ReportError(
            f"不能读取文本集“{passages}”：内容或路径不对，请检查它是否为每行一篇的 JSONL。"
        ) from exc
    encoder = load_encoder(model)
    for document in tqdm(documents, desc="建库", unit="篇", disable=not sys.stderr.isatty()):
        insert(document, folder, encoder=encoder, quiet=True)
    publish(folder)


@contextmanager
def _library(arguments: argparse.Namespace) -> Iterator[Path | None]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.library
        if arguments.passages:
            folder = folder or Path(temporary)
            if not writer(folder).version():
                build(arguments.passages, folder, model=arguments.model)
        yield folder


def _table(title: str, scores: dict[str, Score]) -> str:
    rows = [f"| {title} | 题数 | hit@1 | hit@3 | hit@5 | MRR |", "|---|---|---|---|---|---|"]
    for name, s in scores.items():
        figures = " | ".join(f"{value:.3f}" for value in (s.hit_1, s.hit_3, s.hit_5, s.mrr))
        rows.append(f"| {name} | {s.count} | {figures} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the scores; return the exit code."""
    parser = Parser("python -m search.evaluation", "评测检索")
    parser.add_argument("questions", type=Path, metavar="问题集", help="每行一个问题的 JSONL")
    parser.add_argument(
        "--passages", type=Path, metavar="文本集", help="每行一篇文本的 JSONL；不给则用资料库"
    )
    parser.add_argument(
        "--library", type=Path, metavar="文件夹", help="资料库文件夹；与 --passages 同用时建在这里"
    )
    parser.add_argument("--model", metavar="模型", help="与 --passages 同用：建库的模型")
    parser.add_argument("--no-ablation", action="store_true", help="不做消融对比")
    given = parser.parse_args(arguments)
    return run(lambda: _print_scores(given))


def _print_scores(given: argparse.Namespace) -> int:
    questions = load_questions(given.questions)
    with _library(given) as folder:
        evaluation = Evaluation(questions, open_once(folder))
        print(_table("问题类型", evaluation.by_type()))
        if not given.no_ablation:
            print("\n" + _table("方法", evaluation.ablation()))
        print("\n| 判为无依据 | 题数 | 比例 |\n|---|---|---|")
        for group, (refused, total) in evaluation.refused().items():
            print(f"| {group} | {refused}/{total} | {refused / total:.3f} |")
        print("\n| 答案 | 题数 | 一字不差 | 相互包含 |\n|---|---|---|---|")
        for group, (same, near, total) in evaluation.exact().items():
            print(f"| {group} | {total} | {same:.3f} | {near:.3f} |")
        error, bins = evaluation.calibration()
        print(f"\n| 把握 | 题数 | 第一段答对（ECE {error:.3f}） |\n|---|---|---|")
        for mean, count, share in bins:
            print(f"| {mean:.2f} | {count} | {share:.3f} |")
        if any(not question.quotes for question in questions):
            print("\n| 界线 | 有答案的保留 | 没有答案的拒答 |\n|---|---|---|")
            for at, kept, refused_share in evaluation.curve():
                print(f"| {at:.1f} | {kept:.3f} | {refused_share:.3f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
