"""Find the sections of a document by their GB/T 9704 numbering, at any ``#`` depth or none."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.documents import Block, blocks, is_body, rank
from index.terms import tidy
from index.types import Document, Kind, Section

_LONGEST_HEADING = 50
_TOP = -10  # the rank of a heading without a number: above every number
_NUMBER = re.compile(
    r"^(?:第.{1,3}?(?:[章编篇节]|部分)|[（(]?[一二三四五六七八九十\d]+[）)]?\s*[、．.]?|[㈠-㈩])\s*"
)
_YEAR = re.compile(r"(?:19|20)\d\d(?=\s*年)")

# What the headings of official reports tell. The first three hold for a sub-section too, whatever
# its parent tells （一、工作情况 ›（三）存在的问题）; so they match whole headings, not words in them:
# 补齐短板 and 解决突出问题 tell of work, not of what is lacking, and 谋划未来产业 of no plan.
_DUTY = re.compile(
    r".*(?:第一责任人|负责人[^，。]{0,20}履|履行[^，。]{0,24}职责(?:的)?情况|履职(?:尽责)?情况).*"
)
_LACKING = re.compile(
    r"(?!.*(?:解决|补齐|破解|化解|克服|针对|聚焦|直面|应对|整改|排查|攻克))"
    r"(?:.{0,14}(?:存在|面临)|.{0,4}(?:当前|目前|主要|突出))?着?的?.{0,4}"
    r"(?:问题|不足|困难|短板|差距|薄弱环节|矛盾|挑战)(?:(?:和|与|及|以及|、).{1,10})?"
)
_PLANNED = re.compile(
    r".{0,6}(?:下一步|下一阶段|下阶段|下步|今后|明年|来年|下一年度?).{0,16}"
    r"(?:打算|安排|计划|思路|展望|重点|任务|方向|举措|措施|目标|工作)"
    r"|(?:主要|重点)?工作(?:打算|安排|计划|思路)"
)
_DONE = re.compile(r"回顾|(?:完成|落实|执行|进展|开展|贯彻|推进|建设|工作)的?(?:总体|基本)?情况")
_PLANNED_WORD = re.compile(
    r"安排|计划|打算|思路|展望|目标|任务|总体要求|部署|重点工作|工作重点|努力方向|改进措施|下一步|今后|明年"
)
_DONE_WORD = re.compile(r"举措|成效|成绩|成就|总结|进展|做法|情况|完成|落实|开展|主要工作")
_CLOSING = re.compile(
    r"(?:一年来|五年来|总之|综上|特此报告|专此报告|以上报告|以上是|妥否|请予?审议|各位代表|同志们|让我们|新的一年)"
)
_LIST_ITEM = re.compile(
    r"[一二三四五六七八九十]{1,3}是|第[一二三四五六七八九十]|[其再]次|最后|同时|此外"
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
    taken = {start for field in document.fields for start, _ in field.spans}
    body = [block for block in blocks(document.text) if block.start not in taken]
    foot = foot_start(document)
    before = [block for block in body if block.start < foot]
    after = [block for block in body if block.start >= foot]
    return (*_sections(before, document.year), *_sections(after, document.year))


def foot_start(document: Document) -> int:
    """Return where the date at the foot stands in the text; its length if there is none."""
    body = next((b.start for b in blocks(document.text) if is_body(b)), len(document.text))
    dates = (field.spans[0][0] for field in document.fields if field.role == "成文日期")
    return next((start for start in dates if start > body), len(document.text))


def closing_start(paragraphs: Sequence[tuple[str, Section | None]]) -> int:
    """Return the index at which the closing words of the whole document begin, or their number.

    ``paragraphs`` are those above the foot. The closing words follow the first paragraph of the
    last section without a heading of their own. They are known by how official reports close
    （一年来……，总之……，各位代表……）, or by the form of the document: every section before holds just
    one paragraph and the last one more, which is no item of a list.
    """
    section = paragraphs[-1][1] if paragraphs else None
    if section is None:
        return len(paragraphs)
    own = [i for i, (_, its) in enumerate(paragraphs) if its is section][1:]
    held = Counter(its for _, its in paragraphs if its and its is not section)
    formed = len(held) >= _FORM_SHOWS and max(held.values()) == 1
    if formed and len(own) == 1 and not _LIST_ITEM.match(paragraphs[own[0]][0]):
        return own[0]
    return next((i for i in own if _CLOSING.match(paragraphs[i][0])), len(paragraphs))


def _sections(body: Sequence[Block], year: int | None) -> Iterator[Part]:
    numbered = any(rank(block.text) is not None for block in body)
    headings = [_heading(block, numbered=numbered) for block in body]
    stack: list[tuple[int, Section]] = []
    for i, (block, (level, title)) in enumerate(zip(body, headings, strict=True)):
        while level is not None and stack and stack[-1][0] >= level:
            stack.pop()  # a numbered paragraph ends its siblings' sections as well
        parent = stack[-1][1] if stack else None
        following = headings[i + 1][0] if i + 1 < len(body) and headings[i + 1][1] else None
        bare = title == block.text and (i + 1 == len(body) or _ends(following, level))
        if level is None or not title or (bare and level > _TOP):
            yield Part(block, parent, False)
            continue
        section = Section(
            path=((*parent.path, tidy(title)) if parent else (tidy(title),)),
            kind=_kind(tidy(title), parent, year),
            span=(block.start, block.start + len(title)),
            run_in=len(title) < len(block.text),
        )
        stack.append((level, section))
        yield Part(block, section, not section.run_in)


def _ends(following: int | None, level: int | None) -> bool:
    """Whether the next heading ends a section at once: then its heading is an item of a list."""
    return following is not None and level is not None and following <= level


def _heading(block: Block, *, numbered: bool) -> tuple[int | None, str]:
    """Return the rank of a block's number and the heading that it is or begins with, or "".

    A numbered line is a heading if it ends without a sentence's punctuation; a numbered
    paragraph has its first sentence for a heading when more follows it. A line marked with
    ``#`` but not numbered heads a section of the highest rank; in a document without any
    numbering the depth of the ``#`` is all there is to go by.
    """
    text = block.text
    level = rank(text)
    if level is None:
        plain = block.hashes and len(text) <= _LONGEST_HEADING and "。" not in text
        return (_TOP + (0 if numbered else block.hashes), text) if plain else (None, "")
    title, stop, rest = text.partition("。")
    if len(title) > _LONGEST_HEADING or (not rest and (stop or text[-1] in "；;，,！？!?")):
        return level, ""
    return level, title


def _kind(title: str, parent: Section | None, year: int | None) -> Kind:
    words = _NUMBER.sub("", title)
    years = [int(found) for found in _YEAR.findall(title)]
    if _DUTY.fullmatch(words):
        return "履职"
    if _LACKING.fullmatch(words):
        return "不足"
    if _PLANNED.fullmatch(words):
        return "计划"
    if parent:
        return parent.kind
    if _DONE.search(words):
        return "已完成"
    planned, done = bool(_PLANNED_WORD.search(words)), bool(_DONE_WORD.search(words))
    if planned and done:  # 「发展成就和目标任务」 tells of both
        return "其他"
    if planned or (not done and years and year and min(years) > year):
        return "计划"
    return "已完成" if done else "其他"
