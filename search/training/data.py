"""Questions on reports, with the passages that answer them, split by report."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.documents import parse
from index.errors import ReportError
from index.library import index_text
from index.passages import passages
from index.types import Document, Passage, Segment, Span
from search.query import normalise, without_regions

HELD_OUT = frozenset({"tianjin", "jiangsu", "gansu", "chongqing", "national2019"})
"""Reports to choose by, of any year: no question on them is trained on."""

_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Report:
    """A report and its passages, in order."""

    document: Document
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A question on a report: ``place`` is the passage that answers it, None if none does.

    ``stripped`` is the question as the retriever gets it, without the name of the place.
    ``quote`` and ``answer`` are spans in that passage: what suffices to answer, and the answer
    itself. ``near`` is the place and span of the sentence that only looks like an answer. Of two
    questions with the same ``pair`` the report answers one.
    """

    report: str
    question: str
    type: str
    stripped: str = ""
    place: int | None = None
    quote: Span | None = None
    answer: Span | None = None
    near: tuple[int, Span] | None = None
    pair: str = ""

    @property
    def held_out(self) -> bool:
        """Whether its report is one to choose by."""
        return is_held_out(self.report)


@dataclass(frozen=True, slots=True)
class Data:
    """All reports by name, and all questions on them."""

    reports: dict[str, Report]
    examples: tuple[Example, ...]


Cut = tuple[int, Segment, str]
"""A segment with the place of its passage before it, and after it what is embedded."""


def is_held_out(report: str) -> bool:
    """Whether a report is one to choose by: that of a place of ``HELD_OUT``, of any year."""
    return re.sub(r"^prov\d+_", "", report) in HELD_OUT


def load(folder: Path) -> Data:
    """Read ``src/NAME.txt`` and the questions in ``*.jsonl``.

    Questions whose quote is not within one passage are left out. Raises ``ReportError`` if the
    folder does not hold such files.
    """
    try:
        documents = [parse(f.read_bytes(), name=f.name) for f in sorted(folder.glob("src/*.txt"))]
        files = sorted(folder.glob("*.jsonl"))
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        rows = [json.loads(line) for line in lines]
        reports = {
            Path(document.name).stem: Report(document, passages(document)) for document in documents
        }
        found = [_example(row, reports[row["doc"]]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ReportError(
            f"不能读取训练数据“{folder}”：内容或路径不对，请给出有 src/*.txt 和 *.jsonl 的文件夹。"
        ) from exc
    if not found:
        raise ReportError(f"“{folder}”里没有训练数据，请给出有 src/*.txt 和 *.jsonl 的文件夹。")
    return Data(reports, tuple(example for example in found if example))


def _example(row: dict[str, str], report: Report) -> Example | None:
    question = normalise(row["query"]).text
    stripped = without_regions(question, list(filter(None, [report.document.region])))
    name, pair = Path(report.document.name).stem, row.get("pair", "")
    if not row["quote"]:
        near = find(row.get("near", ""), report.passages)
        return Example(name, question, "unanswerable", stripped, near=near, pair=pair)
    found = find(row["quote"], report.passages)
    if found is None:
        return None
    place, quote = found
    inner = _within(row["answer"], report.passages[place].text, quote) or quote
    return Example(name, question, row["type"], stripped, place, quote, inner, pair=pair)


def find(quote: str, among: Sequence[Passage]) -> tuple[int, Span] | None:
    """Return the first passage that holds a quote, white space aside, and where in its text."""
    for place, passage in enumerate(among):
        if passage.segments and (span := _within(quote, passage.text, (0, len(passage.text)))):
            return place, span
    return None


def _within(quote: str, text: str, span: Span) -> Span | None:
    wanted = _BLANK.sub("", quote)
    kept = [i for i in range(*span) if not text[i].isspace()]
    start = "".join(text[i] for i in kept).find(wanted) if wanted else -1
    return None if start < 0 else (kept[start], kept[start + len(wanted) - 1] + 1)


def segments(report: Report) -> list[Cut]:
    """Return every segment of a report: its passage's place, itself, and what is embedded."""
    return [
        (place, segment, index_text(passage, segment))
        for place, passage in enumerate(report.passages)
        for segment in passage.segments
    ]


def positives(example: Example, of: Sequence[Cut]) -> list[int]:
    """Return the indices of the segments, of every grain, that hold an answer whole."""
    if example.answer is None:
        return []
    return [
        i
        for i, (place, segment, _) in enumerate(of)
        if place == example.place and segment.covers(*example.answer)
    ]
