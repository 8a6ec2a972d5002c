"""What may be asked: checked and normalised."""

import operator
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

from index.errors import ReportError
from index.terms import fold, terms

MAX_CHARACTERS = 512
MAX_TOP_K = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """A question as asked and in index form: ``text`` is embedded, ``terms`` are matched."""

    question: str
    text: str
    terms: tuple[str, ...]


def normalise(query: object) -> Query:
    """Check and fold a question.

    Raises ``ReportError`` if it is not a string, longer than 512 characters, or holds no letter
    or digit.
    """
    if not isinstance(query, str):
        raise ReportError(f"问题应当是一段文字，收到的是 {type(query).__name__}，请输入要问的话。")
    if len(query) > MAX_CHARACTERS:
        raise ReportError(
            f"问题有 {len(query)} 个字，超过 {MAX_CHARACTERS} 字的上限，请缩短后再问。"
        )
    text = fold(query)
    if not any(map(_is_word, text)):
        raise ReportError("问题里没有文字，请输入要问的话，例如“行政复议受理了多少件？”。")
    return Query(query, text, tuple(dict.fromkeys(terms(query))))


def without_regions(text: str, regions: Sequence[str]) -> str:
    """Drop the names of the places that report: they tell which report, not what is asked.

    「郑州明天会下雨吗」 is near a report of 郑州 by the name alone. On the questions of ten reports
    this gains 0.757 → 0.773 hit@1 and 0.933 → 0.948 hit@5. What is nothing but names stays.
    """
    named = sorted((region for region in regions if region in text), key=len, reverse=True)
    if not named:
        return text
    names = "|".join(map(re.escape, named))
    rest = re.sub(rf"(?<![占居比于的])(?:{names})(?:[省市州盟县区旗]|自治区)?", "", text)
    rest = rest.lstrip("的，,、 ")
    return rest if any(map(_is_word, rest)) else text


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN"


def check_top_k(top_k: object) -> int:
    """Return ``top_k`` if it is a whole number from 1 to 1000. Raises ``ReportError`` if not."""
    if isinstance(top_k, SupportsIndex) and not isinstance(top_k, bool):
        number = operator.index(top_k)
        if 1 <= number <= MAX_TOP_K:
            return number
    raise ReportError(f"结果条数应当是 1 到 {MAX_TOP_K} 之间的整数，请换一个数。")
