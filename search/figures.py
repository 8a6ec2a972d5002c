"""Find the number in a passage that a question asks for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from index.terms import terms
from index.types import Span

_UNIT = (
    r"个百分点|个工作日|个小时|个季度|个月|百分点|[%％‰]|平方公里|平方米|立方米|公里|千瓦时|[千兆]瓦|千米"
    r"|[千毫微]?克(?:(?:每|/)立方米)?|人次|人才|人|件次|件|元|美元|吨|亩|公顷|公斤|斤|米"
    r"|辆|台|套|所|座|条|场|次|名|位|倍|年|天|工作日|日|小时|分钟|岁|张|份|宗|起|批|例|种|期|部|篇|头|只|度|处|对|班"
    r"|艘|架|股|笔|户|家|项|个|口|支|间|栋|层|门|册|幅|户次|村|镇|县|国"
)
_OVER = "超过|超出|超|突破|逾|高于|低于|多于|少于|大于|小于"
_QUALIFIER = (
    rf"(?:不|未|没有|没)(?:{_OVER}|达到|达|足|到|满)|(?<![赶反]){_OVER}|至少|至多|最多|最少|大约|将近|接近"
    r"|(?<![签节预合契制条公违履邀特续解毁失爽赴缔誓盟隐简租纽集守婚俭践])约"
    r"|(?<![附最临邻靠毗新亲远就迫走逼贴])近"
)
_RANGE = r"(?<![\d.第〔\-—])(?!(?:19|20)\d\d)\d+(?:\.\d+)?(?:[%％]?[\-—－~～]|至)"
_FIGURE = re.compile(
    rf"(?:(?P<before>{_QUALIFIER}|{_RANGE})\s*)?"
    r"(?<![\d.第〔])(?P<digits>\d+(?:[,，]\d{3})*(?![\d])(?:\.\d+)?)\s*(?P<more>[余多]?)\s*"
    r"(?P<scale>(?:[百万亿]|千(?![瓦克米])){0,2})"
    rf"(?P<after>[余多]?)\s*(?P<unit>{_UNIT})?"
    r"(?P<bound>以上|以内|之内|以下|左右|上下|(?<=[日天年月时周钟])内(?![部容外陆需在涵资地蒙设河]))?"
)
_SCALE = {"百": 10**2, "千": 10**3, "万": 10**4, "亿": 10**8}
_YEAR = re.compile(r"(?:19|20)\d\d\s*年?$")
_ASKED_UNIT = re.compile(rf"(?:多少|几|哪几)\s*(?:[百千万亿]{{0,2}})(?P<unit>{_UNIT})")
_SHARE = re.compile(
    r"百分之|比例|占比|增[长速幅]|[降升]幅|率(?=$|[？?，]|是|为|达|有多|多少)|[增降]了多少|多少个?百分点"
)
_SHARE_UNIT = re.compile(r"[%％‰]|百分点")
_NEAR = 24  # characters before a number that say what it counts
_UNIT_WORTH = 0.6


@dataclass(frozen=True, slots=True)
class Amount:
    """A number where it stands: ``text`` is its own characters, ``value`` what they come to.

    ``qualifier`` is 不超过, 余, 以上, the 3至 of 3至5个 … and empty if there is none.
    """

    span: Span
    text: str
    value: Decimal
    unit: str
    qualifier: str


def asks_for_figure(question: str) -> bool:
    """Whether a question asks how many, how much or what share."""
    return bool(
        re.search(
            r"多少|几[个件次项家人位名年天月份种类成]|多大|多高|多长|规模|总量|总额|数量", question
        )
        or _SHARE.search(question)
    )


def figures(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the numbers in a stretch of text with qualifier and unit: 超40万辆, 21.84亿余条.

    Years are none.
    """
    found = (m.span() for m in _FIGURE.finditer(text, start, len(text) if end is None else end))
    spans = ((a, a + len(text[a:b].rstrip(" ，,"))) for a, b in found)
    return [(a, b) for a, b in spans if not _YEAR.fullmatch(text[a:b])]


def amounts(text: str, start: int = 0, end: int | None = None) -> list[Amount]:
    """Return what the numbers in a stretch of text say."""
    return [_amount(text, span) for span in figures(text, start, end)]


def _amount(text: str, span: Span) -> Amount:
    match = _FIGURE.match(text, *span)
    assert match
    value = Decimal(re.sub("[,，]", "", match["digits"]))
    for scale in match["scale"]:
        value *= _SCALE[scale]
    said = (match[name] or "" for name in ("before", "more", "after", "bound"))
    unit = (match["unit"] or "").replace("％", "%")
    return Amount(span, text[slice(*span)], value, unit, "".join(said))


def best_figure(
    question: str, text: str, marks: Sequence[Span], weights: Mapping[str, float]
) -> Span | None:
    """Return the number in the marked sentence that the question most likely asks for.

    It is judged by the question's terms just before it and by its unit; None if there is none.
    """
    candidates = figures(text, *marks[0]) if marks else []
    if not candidates:
        return None
    total = sum(weights.values()) or 1.0
    asked = _ASKED_UNIT.search(question)
    share = bool(_SHARE.search(question))
    inner = marks[1:] or marks

    def worth(span: Span) -> float:
        before = text[max(marks[0][0], span[0] - _NEAR) : span[0]]
        near = sum(weights[term] for term in set(terms(before)) & weights.keys()) / total
        of_share = bool(_SHARE_UNIT.search(text[slice(*span)]))
        fits = of_share if share else not of_share
        if asked and not share:
            fits = asked["unit"] in text[slice(*span)]
        marked = any(a <= span[0] and span[1] <= b for a, b in inner)
        return near + _UNIT_WORTH * fits + 0.3 * marked

    return max(candidates, key=worth)
