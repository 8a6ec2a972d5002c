"""What a question costs, stage by stage: from a cold start, and in a process that is warm."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.process import Clock, own_memory, peak_memory

COLD = ("process", "import", "models", "library", "prepare", "embed", "retrieve", "read", "other")
"""Stages from the start of a process to the first answer, in order; ``other`` is what is between."""

WARM = ("embed", "retrieve", "read", "other")
"""Stages of a question: ``retrieve`` is all between embedding it and reading the first passage."""

TOP_K = 5


class Watch:
    """Notes when the functions that it wraps began and ended."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, float, float]] = []

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is noted."""

        def timed(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                self.noted.append((name, begun, time.perf_counter()))

        return timed

    def spent(self, name: str) -> float:
        """Return the seconds spent in what was wrapped by this name."""
        return sum(end - start for noted, start, end in self.noted if noted == name)


class Watched:
    """An encoder or a reader, with one of its methods timed and what that was given kept."""

    def __init__(self, inner: Any, method: str, watch: Watch, name: str) -> None:
        self._inner = inner
        self.given: list[tuple[Any, ...]] = []
        timed = watch.wrap(name, getattr(inner, method))

        def noted(*given: Any) -> Any:
            self.given.append(given)
            return timed(*given)

        setattr(self, method, noted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Asker:
    """Asks a library as a user does, by ``search``, and times its encoder, its reader and what is between.

    One for a process: what it wraps stays wrapped.
    """

    def __init__(self, library: str) -> None:
        from search import pipeline

        self._library = library
        self.watch = Watch()
        self.opened: Any = None
        self._prepare = pipeline.prepare
        pipeline.prepare = self._watched
        pipeline.open_once = self.watch.wrap("open", pipeline.open_once)
        pipeline.rank = self.watch.wrap("rank", pipeline.rank)

    def _watched(self, *given: Any) -> Any:
        opened = self._prepare(*given)
        reader = opened.reader and Watched(opened.reader, "read", self.watch, "read")
        encoder = Watched(opened.encoder, "encode_query", self.watch, "embed")
        self.opened = replace(opened, encoder=encoder, reader=reader)
        return self.opened

    def ask(self, question: str) -> tuple[Any, dict[str, float]]:
        """Return what ``search`` returns, and the seconds of each stage and of the whole."""
        from search import pipeline

        self.watch.noted.clear()
        begun = time.perf_counter()
        results = pipeline.search(question, top_k=TOP_K, library=self._library)
        whole = time.perf_counter() - begun
        return results, _stages(self.watch, whole)


def _stages(watch: Watch, whole: float) -> dict[str, float]:
    ended = {name: end for name, _, end in watch.noted}
    reads = [start for name, start, _ in watch.noted if name == "read"]
    stages = {"embed": watch.spent("embed"), "read": watch.spent("read")}
    stages["retrieve"] = min([*reads, ended["rank"]]) - ended["embed"]
    return {**stages, "other": whole - sum(stages.values()), "total": whole}


def cold(clock: Clock, library: str, question: str) -> dict[str, Any]:
    """Return the seconds of each stage from the start of the process to its first answer."""
    begun = time.monotonic()
    from index import library as opening
    from index.store import Library
    from search import pipeline

    imported = time.monotonic()
    asker = Asker(library)
    watch = asker.watch
    opening.load_encoder = watch.wrap("models", opening.load_encoder)
    pipeline.load_reader = watch.wrap("models", pipeline.load_reader)
    Library.open = watch.wrap("library", Library.open)  # type: ignore[method-assign]
    results, stages = asker.ask(question)
    opened, models, loaded = map(watch.spent, ("open", "models", "library"))
    return {
        "stages": {
            **stages,
            "process": begun - clock.started,
            "import": imported - begun,
            "models": models,
            "library": loaded,
            "prepare": opened - models - loaded,
            "other": stages["other"] - opened,
            "total": clock.since_start(),
        },
        "hits": len(results),
    }


def warm(clock: Clock, library: str, questions: str, limit: int) -> dict[str, Any]:
    """Return the stages of each question in a warm process, what was found, and the memory.

    ``beside`` is what each costs beside its embedding and its reading, as a share of the embedding.
    ``limit`` takes that many questions, evenly spread; 0 all. Tokens are those that the encoder and
    the reader are given, for the formula of their cost.
    """
    from search import pipeline
    from search.evaluation import answers, load_questions

    timed = Asker(library)
    pipeline.open_once(library)
    held = own_memory()
    asked = load_questions(Path(questions))
    asked = asked[:: max(1, len(asked) // limit)][:limit] if limit else asked
    for question in asked[:3]:  # sessions are made at the first, pages are read
        timed.ask(question.text)
    _forget(timed)
    rows, right = [], []
    for question in asked:
        results, stages = timed.ask(question.text)
        rows.append(stages)
        if question.quotes:
            right.append(bool(results) and answers(results[0].passage, question))
    return {
        "questions": len(asked),
        "stages": {stage: [row[stage] for row in rows] for stage in (*WARM, "total")},
        "beside": [(row["retrieve"] + row["other"]) / row["embed"] for row in rows],
        "hit_1": sum(right) / max(1, len(right)),
        "tokens": _tokens(timed, len(asked)),
        "open_mb": held,
        "end_mb": own_memory(),
        "peak_mb": peak_memory(),
    }


def _forget(timed: Asker) -> None:
    for part in (timed.opened.encoder, timed.opened.reader):
        if part is not None:
            part.given.clear()


def _tokens(timed: Asker, questions: int) -> dict[str, float]:
    """Return the mean tokens a question that the encoder and the reader ran, and readings.

    ``squares`` is the mean sum of squared lengths, which attention costs by.
    """
    from index.e5 import load, weights_file
    from search.reader import above, assemble

    file = weights_file()
    if file is None:
        return {}
    weights = load(file)
    embedded = [len(weights.tokens("query: " + t).ids) + 2 for (t,) in timed.opened.encoder.given]
    given = timed.opened.reader.given if timed.opened.reader else []
    read = [
        len(assemble(weights, text, above(w.passage), w.text).ids)
        for text, windows in given
        for w in windows
    ]
    return {
        "readings": len(read) / questions,
        **{f"embed{key}": value for key, value in _sums(embedded, questions).items()},
        **{f"read{key}": value for key, value in _sums(read, questions).items()},
    }


def _sums(lengths: Sequence[int], questions: int) -> dict[str, float]:
    return {"": sum(lengths) / questions, "_squares": sum(n * n for n in lengths) / questions}


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    import numpy as np

    p50, p99 = np.quantile(list(values), [0.5, 0.99]).tolist()
    return {"p50": p50, "p99": p99}
