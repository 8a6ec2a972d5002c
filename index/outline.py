"""Find the sections of a document by their GB/T 9704 numbering, at any ``#`` depth or none."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.documents import Block, blocks
from index.terms import tidy
from index.types import Document, Kind, Section

_LONGEST_HEADING = 50
_RANKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"第[一二三四五六七八九十]{1,3}[章编篇]|第[一二三四五六七八九十]{1,3}部分",
        r"第[一二三四五六七八九十]{1,3}节",
        r"[一二三四五六七八九十]{1,3}[、．.]",
        r"[（(][一二三四五六七八九十]{1,3}[）)]",
        r"\d{1,2}[、．.](?!\d)",
        r"[（(]\d{1,2}[）)]",
    )
)
_YEAR = re.compile(r"(?:19|20)\d\d(?=\s*年)")

# Headings of official reports, by what they tell. The first that matches wins; the strong ones
# also hold for a sub-section whose parent says otherwise （一、工作情况 ›（三）存在的问题).
_LACKING = re.compile(
    r"(?:存在|面临|主要|突出)[^，。]{0,6}(?:问题|不足|困难|短板|差距|薄弱|挑战)|(?:不足|困难|差距|短板)(?:和|与|及|之处|$)"
)
_DUTY = re.compile(r"第一责任人|履行[^，。]{0,20}职责|履职")
_PLANNED = re.compile(r"(?:下一步|下一年|下一阶段|今后|明年|来年|未来)|(?:工作)?(?:打算|展望)$")
_PLANNED_WEAK = re.compile(r"安排|计划|打算|思路|展望|目标|任务|总体要求|部署|工作重点|重点工作")
_DONE = re.compile(r"举措|成效|成绩|成就|回顾|总结|进展|做法|情况|完成|落实|开展")
_CLOSING = re.compile(
    r"(?:一年来|五年来|总之|综上|特此报告|专此报告|以上报告|以上是|各位代表|同志们|让我们)"
)
_FORM_SHOWS = 3  # sections of one paragraph that make a form; two may be chance


@dataclass(frozen=True, slots=True)
class Part:
    """A block and the section it stands in. ``heading`` blocks are not part of any paragraph."""

    block: Block
    section: Section | None
    heading: bool


def outline(document: Document) -> tuple[Part, ...]:
    """Return the blocks of a document outside its metadata fields, each with its section.

    What follows the date at the foot （附件） begins outside every section again.
    """
    fields = [span for field in document.fields for span in field.spans]
    dates = [f.spans[-1][1] for f in document.fields if f.role == "成文日期"]
    taken = {start for start, _ in fields}
    body = [block for block in blocks(document.text) if block.start not in taken]
    foot = sum(block.start < max(dates, default=0) for block in body) or len(body)
    return (*_sections(body[:foot], document.year), *_sections(body[foot:], document.year))


def closing_start(paragraphs: Sequence[tuple[str, Section | None]]) -> int:
    """Return the index at which the closing words of the whole document begin, or their number.

    They follow the first paragraph of the last section without a heading of their own, and are
    known by how official reports close （一年来……，总之……，各位代表……） or by the form of the
    document: every section before holds just one paragraph.
    """
    held = Counter(section for _, section in paragraphs if section)
    section = paragraphs[-1][1] if paragraphs else None
    own = [i for i, (_, its) in enumerate(paragraphs) if its is section][1:]
    if section is None:
        return len(paragraphs)
    others = [count for its, count in held.items() if its is not section]
    if len(others) >= _FORM_SHOWS and max(others) == 1 and own:
        return own[0]
    return next((i for i in own if _CLOSING.match(paragraphs[i][0])), len(paragraphs))


def _sections(body: Sequence[Block], year: int | None) -> Iterator[Part]:
    numbered = any(_rank(block) is not None for block in body)
    stack: list[tuple[int, Section]] = []
    for block in body:
        rank, title = _heading(block, numbered=numbered)
        if rank is None:
            yield Part(block, stack[-1][1] if stack else None, False)
            continue
        while stack and stack[-1][0] >= rank:
            stack.pop()
        parent = stack[-1][1] if stack else None
        run_in = len(title) < len(block.text)
        section = Section(
            path=((*parent.path, tidy(title)) if parent else (tidy(title),)),
            kind=_kind(tidy(title), parent, year),
            span=(block.start, block.start + len(title)),
            run_in=run_in,
        )
        stack.append((rank, section))
        yield Part(block, section, not run_in)


def _rank(block: Block) -> int | None:
    return next((rank for rank, start in enumerate(_RANKS) if start.match(block.text)), None)


def _heading(block: Block, *, numbered: bool) -> tuple[int | None, str]:
    """Return the rank and the title of the heading that a block is or begins with, or None.

    A numbered line is a heading if it ends without a sentence's punctuation; a numbered
    paragraph has its first sentence for a heading when more follows it. A line marked with
    ``#`` but not numbered heads a section of the highest rank; in a document without any
    numbering the depth of the ``#`` is all there is to go by.
    """
    text = block.text
    rank = _rank(block)
    if rank is None:
        plain = block.hashes and len(text) <= _LONGEST_HEADING and "。" not in text
        return (block.hashes - 10 if not numbered else -10, text) if plain else (None, "")
    title, stop, rest = text.partition("。")
    if len(title) > _LONGEST_HEADING or (not rest and (stop or text[-1] in "；;，,！？!?")):
        return None, ""
    return rank, title


def _kind(title: str, parent: Section | None, year: int | None) -> Kind:
    strong: Kind | None = (
        "履职" if _DUTY.search(title)
        else "不足" if _LACKING.search(title)
        else "计划" if _PLANNED.search(title)
        else None
    )  # fmt: skip
    if strong or parent:
        return strong or (parent.kind if parent else "其他")
    years = [int(found) for found in _YEAR.findall(title)]
    if "回顾" in title or (years and year and max(years) <= year and _DONE.search(title)):
        return "已完成"
    if _PLANNED_WEAK.search(title) or (years and year and min(years) > year):
        return "计划"
    return "已完成" if _DONE.search(title) else "其他"
