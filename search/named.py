"""The years and places that a question names, and whether a passage tells of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from index.terms import fold, numeral, tidy
from index.types import WORK, Passage
from search.places import PROVINCE_OF, places_in

_ONE = "(?:19|20)\\d\\d"
_CHINESE = "[一二][〇○零一二三四五六七八九]{3}(?=年)"
_UNIT = "[万亿余多个件户元亩吨名项家所公辆台套米座处次条场斤种%％]|人(?![大代才民])"
_WRITTEN = re.compile(rf"(?<![\d.]){_ONE}(?!\.?\d|{_UNIT})|{_CHINESE}")
_RANGE = re.compile(rf"(?<!\d)({_ONE})年?(?:\d+月)?(?:至|到|[-—–~]+)({_ONE})(?!\d)")
_SINCE = re.compile(rf"(?<!\d)({_ONE})年?(?:以来|以后|起|至今)")
_PLAN = re.compile(r"(?<!第)十([一二三四五六七八九])五(?!年)")
_COUNT = r"(?<![\d二两三四五六七八九十])(\d{1,2}|[二两三四五六七八九十]{1,3})"
_BEST = "(?!来?的?(?:同期)?(?:新[高低]|最))"  # what is the highest of five years is of one
_BACK = re.compile(rf"(?:过去|近|这|此前|前)的?{_COUNT}年{_BEST}|{_COUNT}年{_BEST}[来间内]")
_AHEAD = re.compile(rf"(?:今后|未来)的?{_COUNT}年")
_NEAR = (
    (re.compile("去年|上年|上一年|同比|同期"), -1),
    (re.compile("前年"), -2),
    (re.compile("明年|来年|下一?年|下一步"), 1),
)

_ANY = range(1_900, 2_100)  # all that are taken for years: see ``_ONE``
_GIVEN = "印发|发布|公布|报送|签发|下发|出台|通过|施行|修订|修正"
_NOT_ASKED = re.compile(
    rf"[〔\[(]{_ONE}(?:年[^〕\])]*)?[〕\])]|{_ONE}年(?:\d+月)?(?:\d+日)?的?(?:{_GIVEN})"
)
"""Years of a document's number and of the day when something was given: not those asked about."""
_DAY = r"年?{}(?:\d{{1,2}}月)?(?:\d{{1,2}}日)?(?!起|以来|以后)的?"
_HELD = r"(?:在[\u4e00-\u9fff]{4,40}会议上)?[\u4e00-\u9fff]{0,8}"
_REPORT = re.compile(
    rf"(?<!\d)(?P<year>{_ONE}|{_CHINESE}){_DAY.format('度?')}{_HELD}[《“「]?{WORK}"
    rf"|政府的?(?P<own>{_ONE}|{_CHINESE}){_DAY.format('')}工作报告"
    rf"|{WORK}[》”」]?(?:[（(](?P<inside>{_ONE})年?[）)]|(?P<behind>{_ONE})(?!年|\.?\d|{_UNIT}))"
)
"""A report on the work of a government as it is called: by the year or the day on which it is given.
政府2018年度工作报告 is no name: the year may be the one that is reported on."""
_ASKED = re.compile(rf"(?<!\d){_ONE}(?=年|(?:至|到|和|与|、|[-—–~]+){_ONE}年)|{_CHINESE}")


@dataclass(frozen=True, slots=True)
class Named:
    """What a question names; what tells of none of its years, or of none of its places, is no answer."""

    years: frozenset[int]
    places: tuple[str, ...]
    reports: frozenset[int]
    """Years of the reports on the work of a government that it names."""

    @classmethod
    def of(cls, question: str, regions: Iterable[str]) -> Self:
        """Read a folded question; ``regions`` are places that report, looked for beside ``places``."""
        called = [match[match.lastgroup or 0] for match in _REPORT.finditer(question)]
        asked = _NOT_ASKED.sub("", question)
        dated = _NOT_ASKED.sub("", _REPORT.sub("", question))
        years = {numeral(year) for year in _ASKED.findall(dated)} | _stretches(dated)
        places = places_in(asked)
        places += [region for region in regions if region in asked and region != "全国"]
        return cls(frozenset(years), tuple(places), frozenset(map(numeral, called)))


def written(text: str) -> set[int]:
    """Return what may be years in a text: 2019, 二〇一九年."""
    return {numeral(year) for year in _WRITTEN.findall(tidy(text))}


def _stretches(text: str) -> set[int]:
    """Return the years of 2016—2018年 and of 十三五, which began in 2016."""
    found: set[int] = set()
    for begin, end in _RANGE.findall(text):
        found.update(range(int(begin), int(end) + 1))
    for plan in _PLAN.findall(text):
        first = 2001 + 5 * numeral(plan)
        found.update(range(first, first + 5))
    return found


def may_tell(named: Named, passage: Passage) -> bool:
    """Whether a passage may tell of one of the years and of one of the places that a question names.

    It may where it is not known of which place its report is, and where neither that of the year nor
    the passage names one. What a province reports of all its cities is of each: 「石家庄办事……」. Of
    several places one is enough.
    """
    report, years = passage.document, named.years
    if not report.of_work:
        years |= named.reports
    elif named.reports and report.year and report.year not in named.reports:
        return False
    if years and all(years.isdisjoint(told) for told in _told(passage)):
        return False
    if not named.places or (own := report.region) is None:
        return True
    above = "\n".join(_above(passage))
    around = f"{report.title}{report.issuer}{above}\n{passage.text}"
    return any(place in around or PROVINCE_OF.get(place) == own for place in named.places)


def _told(passage: Passage) -> Iterator[frozenset[int] | set[int]]:
    """Yield the years that a passage tells of, those first that are found at once.

    That of its report if no heading names one, and the next for what is planned. A report on the work
    of a government is given in the year that it plans: what was done is of the last, what is neither of
    both. Those that the title of any other report, the headings, the head of its table and the passage
    name, in words too.
    """
    report = passage.document
    if report.year is None:
        yield _without_year(passage.text, _above(passage))
        return
    given = report.of_work
    last = report.year - _is_of_the_last(passage)  # of what it may tell without naming it
    if not written("\n".join(passage.path)):
        if given:
            yield {last, report.year - (passage.kind != "计划")}
        else:
            ahead = passage.kind == "计划"
            yield {report.year, report.year + ahead, *written(report.title or "")}
    yield _in_words(passage.text, _above(passage), report.year - given, report.year, last)


@lru_cache(1_000)  # the passages of one report come up again and again
def _in_words(text: str, above: tuple[str, ...], done: int, year: int, last: int) -> frozenset[int]:
    """Return the years that a text and what stands above it name, in a report of this ``year``.

    ``done`` is the newest year that is over in it, ``last`` the last that the text may tell of.
    """
    text = fold(text)
    around = "\n".join((*map(fold, above), text))
    years = written(around) | _stretches(around) | _since(around, last)
    years.update(year + apart for words, apart in _NEAR if words.search(text))
    for counts in _BACK.findall(text):
        years.update(range(done - numeral("".join(counts)), last + 1))
    for count in _AHEAD.findall(text):
        years.update(range(year, year + numeral(count) + 1))
    return frozenset(years)


@lru_cache(1_000)
def _without_year(text: str, above: tuple[str, ...]) -> frozenset[int]:
    """Return the years that a text may tell of in a report of no known year: any where it names none.

    What has gone on since one of them goes on to the year after the newest.
    """
    around = "\n".join(map(fold, (*above, text)))
    named = written(around) | _stretches(around)
    return frozenset(named | _since(around, max(named) + 1) if named else _ANY)


def _since(text: str, last: int) -> set[int]:
    """Return the years of what has gone on since one that a text names: 2016年以来, to the ``last``."""
    return {y for begin in _SINCE.findall(text) for y in range(int(begin), last + 1)}


def done_in(passage: Passage) -> int | None:
    """Return the year of what was done, where a report on the work of a government does not name it."""
    year = passage.document.year
    if year is None or not _is_of_the_last(passage) or written("\n".join(passage.path)):
        return None
    return year - 1


def _is_of_the_last(passage: Passage) -> bool:
    """Whether a passage tells what was done in a report that is given in the year after."""
    return passage.kind == "已完成" and passage.document.of_work


def _above(passage: Passage) -> tuple[str, ...]:
    """Return the headings and the table's head above a passage."""
    return (*passage.path, *passage.header_text)
