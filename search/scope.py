"""Which reports to search: those that the asker chose, and those that the question names."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from index.columns import KINDS, Scope
from index.contract import Entry, Store
from index.errors import ReportError
from index.types import AUTONOMOUS, Kind, Report
from search.named import written

_LATEST = re.compile("今年|本年|去年|上年|上一年|过去一年|明年|来年|最近|最新|当前|目前")
_PLACE_END = re.compile(rf"(?:新区|省|市|{AUTONOMOUS}[区州县]|[州盟县区旗])$")
_PLANNED = re.compile("目标|计划|打算|安排|预期|规划|拟|将")
_NATION = re.compile(r"(?<![占居比于的])(?:全国|我国|国家|中国|国务院)(?!第)")

_PLACE_BONUS = 0.15
_YEAR_BONUS = 0.06
"""Added to the scores of reports of a place and a year that the question names. Of 126 questions on
four of 49 reports that name a place, the first hit is from a report of it in 0.66 without, in 0.96 at
0.1, 0.98 at 0.15, 0.99 at 0.25, hit@1 is 0.66, 0.94, 0.95 and 0.96; at 0.25 one question fewer is told
to be answered. The weights were chosen on these questions among others, without a place to prefer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A report of a library, with its place: ``years`` are those its metadata and headings tell of."""

    id: int
    document: Report
    region: str | None
    years: frozenset[int]


@dataclass(frozen=True, slots=True)
class Filters:
    """What an asker chose to search; None where nothing was chosen."""

    documents: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    years: tuple[int, ...] | None = None
    kinds: tuple[Kind, ...] | None = None


EVERYTHING = Filters()


def check_filters(
    *, documents: object = None, regions: object = None, years: object = None, kinds: object = None
) -> Filters:
    """Return what was chosen, one or several of each.

    Raises ``ReportError`` if a name is no string, a year no whole number, or a kind none of the five.
    """
    names = _several(documents, "报告", Report, str)
    chosen = _several(kinds, "性质", str)
    unknown = next((kind for kind in chosen or () if kind not in KINDS), None)
    if unknown is not None:
        raise ReportError(f"性质应当是{'、'.join(KINDS)}之一，收到的是“{unknown}”，请改正。")
    return Filters(
        names and tuple(n.sha256 if isinstance(n, Report) else n for n in names),
        _several(regions, "地区", str),
        _several(years, "年度", int),
        chosen,
    )


def list_reports(library: Store) -> tuple[Listed, ...]:
    """Return the reports of a library with the years that each tells of."""
    return tuple(
        Listed(each.id, each.document, each.document.region, frozenset(_years(each)))
        for each in library.entries()
    )


def chosen(filters: Filters, reports: Sequence[Listed]) -> tuple[int, ...] | None:
    """Return the ids of the reports that the filters leave; None if they leave all.

    Raises ``ReportError`` if the library has no report of a name, place or year.
    """
    left = list(reports)
    limits: tuple[
        tuple[str, Sequence[object] | None, Callable[[Listed], Sequence[object]]], ...
    ] = (
        (
            "报告",
            filters.documents,
            lambda r: (r.document.name, r.document.title, r.document.sha256),
        ),
        ("地区", filters.regions and tuple(map(_place, filters.regions)), lambda r: (r.region,)),
        ("年度", filters.years, lambda r: (r.document.year,)),
    )
    for what, wanted, names in limits:
        if wanted is not None:
            known = {name for report in reports for name in names(report)} - {None}
            for one in wanted:
                if one not in known:
                    raise ReportError(_unknown(what, one, known))
            left = [r for r in left if any(name in wanted for name in names(r))]
    return None if all(wanted is None for _, wanted, _ in limits) else tuple(r.id for r in left)


def preferred(question: str, reports: Sequence[Listed], regions: Iterable[str]) -> dict[int, float]:
    """Return what to add to the scores of the reports whose place or year a question names.

    A relative year, 去年, means the newest report of the place. A name never forbids the others. Where
    the next report on the work of a government tells what was done in the year, the one that planned it
    is preferred only if plans are asked for: of 17 such questions 16 are answered by what was done
    instead of 10.
    """
    places = {region for region in regions if _names(question, region)}
    named = written(question)
    if len(reports) < 2 or not (places or named):
        return {}
    of_place = {r.id for r in reports if r.region in places}
    about = [r for r in reports if not of_place or r.id in of_place]
    if named:
        told = [r for r in about if r.years & named]
        plans = set() if _PLANNED.search(question) else _before_the_next(told)
        of_year = {r.id for r in told} - plans
    elif _LATEST.search(question) and of_place:
        newest = max((r.document.year or 0 for r in about), default=0)
        of_year = {r.id for r in about if r.document.year == newest}
    else:
        of_year = set()
    bonus = {
        r.id: _PLACE_BONUS * (r.id in of_place) + _YEAR_BONUS * (r.id in of_year) for r in reports
    }
    return {id: value for id, value in bonus.items() if value}


def _before_the_next(reports: Sequence[Listed]) -> set[int]:
    """Return the reports on the work of a government that are followed by that of the next year."""
    given = [r for r in reports if r.region and r.document.of_work]
    years = {(r.region, r.document.year) for r in given}
    return {r.id for r in given if (r.region, (r.document.year or 0) + 1) in years}


def within(ids: Collection[int] | None, kinds: Sequence[Kind] | None) -> Scope | None:
    """Return the part of a library that holds these reports and kinds; None if it is all of it."""
    if ids is None and kinds is None:
        return None
    return Scope(
        None if ids is None else tuple(sorted(ids)), None if kinds is None else tuple(kinds)
    )


def _names(question: str, region: str) -> bool:
    return bool(_NATION.search(question)) if region == "全国" else region in question


def _years(entry: Entry) -> Iterable[int]:
    if year := entry.document.year:
        yield year
        if entry.document.of_work:
            yield year - 1
    for heading in entry.headings:
        yield from written(heading)


def _place(name: str) -> str:
    """Return the name of a place without its 省 or 市, as ``Document.region`` has it."""
    return _PLACE_END.sub("", name) if len(name) > 2 else name


def _several(value: object, what: str, *types: type) -> tuple | None:  # type: ignore[type-arg]
    if value is None:
        return None
    values = tuple(value) if isinstance(value, list | tuple | set | frozenset | range) else (value,)
    for one in values:
        if not isinstance(one, types) or isinstance(one, bool) or one == "":
            raise ReportError(
                f"{what}的条件应当是名称或年份，或由它们组成的列表，收到的是“{one}”，请改正。"
            )
    if not values:
        raise ReportError(f"{what}的条件是空的，请给出至少一个，或不写这个条件。")
    return values


def _unknown(what: str, missing: object, known: Collection[object]) -> str:
    shown = sorted(str(one) for one in known if one is not None)
    if what == "报告":
        return f"资料库里没有报告“{missing}”，请用 python -m index list 查看现有的报告。"
    few = "、".join(shown[:12]) + ("等" if len(shown) > 12 else "")
    return f"资料库里没有{what}为“{missing}”的报告，现有的{what}：{few or '无'}。"
