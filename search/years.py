"""The years that a question names, and those that a passage tells of."""

import re

from index.terms import numeral, tidy
from index.types import Passage

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|[一二][〇○零一二三四五六七八九]{3}(?=年)")
_RANGE = re.compile(r"(?<!\d)((?:19|20)\d\d)年?(?:至|到|[-—–~～－]+)((?:19|20)\d\d)(?!\d)")
_PLAN = re.compile(
    r"(?<!第)(?:(十[一二三四五六七八九])五|([一二三四五六七八九]|十)五[”’」』]?(?:规划|计划|时期|期间))"
)
_BEFORE = re.compile("去年|上年|上一年|同比|同期")
_BACK = re.compile(r"(?:过去|近|这|此前)?(?:的)?([二两三四五六七八九十])年[来间]")


def written(text: str) -> set[int]:
    """Return the years that are written in a text: 2019, 二〇一九年."""
    return {numeral(year) for year in _YEAR.findall(tidy(text))}


def named(text: str) -> frozenset[int]:
    """Return the years that a text names: those written, each of 2016—2018年 and of 十三五时期."""
    text = tidy(text)
    years = written(text)
    for begin, end in _RANGE.findall(text):
        years |= set(range(int(begin), int(end) + 1))
    for plan in _PLAN.findall(text):
        first = 1951 + 5 * numeral("".join(plan))  # 十三五 began in 2016
        years |= set(range(first, first + 5))
    return frozenset(years)


def told(passage: Passage) -> frozenset[int] | None:
    """Return the years that a passage tells of; None if it is not known of which year its report is.

    Those that it, its headings, its table's head and the title name, and that of the report: with the
    next for what is planned, with the last for reports on the work of a government, which are given
    in the year that they plan.
    """
    report = passage.document
    if report.year is None:
        return None
    text, title = passage.text, report.title or ""
    said = named("\n".join((title, *passage.path, *passage.header_text, text)))
    years = set(said) | {report.year}
    if passage.kind == "计划":
        years.add(report.year + 1)
    given = "政府工作报告" in title
    if given or _BEFORE.search(text):
        years.add(report.year - 1)
    for count in _BACK.findall(text):
        years |= set(range(report.year - numeral(count.replace("两", "二")) - given, report.year))
    return frozenset(years)


def may_tell(years: frozenset[int], passage: Passage) -> bool:
    """Whether a passage may tell of one of the years that a question names, if it names any."""
    if not years:
        return True
    of_passage = told(passage)
    return of_passage is None or bool(years & of_passage)
