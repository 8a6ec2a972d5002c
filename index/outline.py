"""Find the sections of a document by their GB/T 9704 numbering, at any ``#`` depth or none.

Titles without a number are known by standing alone: a short line, no sentence, between paragraphs.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.blocks import Block, rank
from index.documents import blocks, is_body
from index.terms import numeral, tidy
from index.types import Document, Kind, Section

_LONGEST_HEADING = 50
_LONGEST_ALONE = 40
_TOP = -10  # the rank of a heading without a number: above every number
_ALONE = 10  # or below every number, where numbered ones are the first
_MOST_ITEMS = 0.8  # of the items of a list are titles, or none is one
_PROSE = 20  # characters; a title stands above a longer line
_WHOLE = "。！？：；…!?:;”’」』）)》"
_ORDINAL = re.compile(r"[一二三四五六七八九十]{1,3}是")
_ALONE_FORM = re.compile(r"[^。！？；：…!?;:|]+[^。！？；：…!?;:|，、,的和与及在是对将把被以]")
# What may stand between a table and its title.
_OF_TABLE = re.compile(r".{0,40}(?:单位|编制部门)\s*[:：]|金额单位")
_PROSE_SIGN = re.compile("[，。；：]")
_NO_TITLE = re.compile(
    r"各位|同志|让我们|.{2,8}[省市州县区盟旗].{0,16}(?:局|委员会|人民政府|厅|办公室)$"
    r"|.{0,16}(?:总理|[省市州县区盟旗]长|主席|主任|书记|院长|检察长)\s*\S{2,4}$"
    r"|[（(【\[—–\-]|注|单位|编制|来源"
    r"|(?:[\d〇○零一二三四五六七八九]{4})\s*年\s*\S{1,3}月\s*\S{1,3}日$"
)
_APPENDIX = re.compile(r"附\s*[件录表注]|名词(?:解释|注释|说明)|.{0,16}名词(?:解释|注释)$")
_NUMBER = re.compile(
    r"^(?:第.{1,3}?(?:[章编篇节]|部分)|\d+[.．]\d+\s|[（(]?[一二三四五六七八九十\d]+[）)]?\s*[、．.]?|[㈠-㈩])\s*"
)
_NUMERAL = re.compile(r"[一二三四五六七八九十]+|\d+")
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
    r"|.*预算(?:编制|安排)?(?:的?情况)?(?:说明|[总明]?细?表)?"
)
_DONE = re.compile(
    r"回顾|决算|(?:完成|落实|执行|进展|开展|贯彻|推进|建设|工作)的?(?:总体|基本)?情况"
)
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


_Heading = tuple[float | None, str]
"""The rank of a block, None if it has no number and is no heading; and its heading, or ""."""


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
    body = [block for block in blocks(document) if block.start not in taken]
    foot = foot_start(document)
    before = [block for block in body if block.start < foot]
    after = [block for block in body if block.start >= foot]
    written = _written_in(document)
    return (*_sections(before, written), *_sections(after, written))


def _written_in(document: Document) -> int | None:
    """Return the year in which a report was made: years before it are past, it and later to come."""
    if document.date:
        return document.date.year
    if document.year and (document.title or "").endswith("政府工作报告"):
        return document.year
    return document.year + 1 if document.year else None


def foot_start(document: Document) -> int:
    """Return where the date at the foot stands in the text; its length if there is none."""
    body = next((b.start for b in blocks(document) if is_body(b)), len(document.text))
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


def _sections(body: Sequence[Block], written: int | None) -> Iterator[Part]:
    stack: list[tuple[float, Section]] = []
    last: Kind = "其他"  # of the section of the highest level before
    for block, (level, title) in zip(body, _headings(body), strict=True):
        while level is not None and stack and stack[-1][0] >= level:
            stack.pop()  # a numbered paragraph ends its siblings' sections as well
        parent = stack[-1][1] if stack else None
        if level is None or not title:
            yield Part(block, parent, False)
            continue
        heading = block.part(0, len(title))
        section = Section(
            path=((*parent.path, tidy(title)) if parent else (tidy(title),)),
            kind=_kind(tidy(title), parent, written, last),
            span=(heading.start, heading.end),
            run_in=len(title) < len(block.text),
        )
        last = last if parent else section.kind
        stack.append((level, section))
        yield Part(block, section, not section.run_in)


def _headings(body: Sequence[Block]) -> list[_Heading]:
    """Return for each block the rank of its number and the heading it is or begins with, or ""."""
    numbered = any(rank(block.text) is not None for block in body)
    found = [_heading(block, numbered=numbered) for block in body]
    marked = sum(block.hashes > 0 for block in body) > 1  # then titles without a number are as well
    for i in () if marked else reversed(range(len(body))):  # from below: a title may have its own
        if found[i] == (None, "") and _stands_alone(body, found, i):
            found[i] = (_ALONE, body[i].text)
    _keep_titled_sentences(body, found)
    first = next((level for level, title in found if title), None)
    top = first == _ALONE and any(level not in (None, _ALONE) for level, _ in found)
    for i, (level, title) in enumerate(found):
        if level == _ALONE:
            found[i] = (_rank_alone(title, found[i + 1], top=top), title)
    _drop_list_items(body, found)
    return found


def _rank_alone(title: str, following: _Heading, *, top: bool) -> float:
    """Return the rank of a title without a number: above the numbers if it begins the report."""
    if top or _APPENDIX.match(title):
        return _TOP
    level, text = following
    if level == _ALONE:
        return _ALONE - 0.25
    return level - 0.5 if level is not None and text else _ALONE


def _heading(block: Block, *, numbered: bool) -> _Heading:
    """Return what a block's number and form alone tell.

    A numbered line is a heading if it ends without a sentence's punctuation; a numbered
    paragraph has its first sentence for a heading when more follows it. A line marked with
    ``#`` but not numbered heads a section of the highest rank; in a document without any
    numbering the depth of the ``#`` is all there is to go by.
    """
    text = block.text
    level = None if block.row else rank(text)
    if level is None:
        plain = block.hashes and len(text) <= _LONGEST_HEADING and "。" not in text
        return (_TOP + (0 if numbered else block.hashes), text) if plain else (None, "")
    title, stop, rest = text.partition("。")
    if (
        title.count("“") != title.count("”")
        or len(title) > _LONGEST_HEADING
        or (not rest and (stop or text[-1] in "；;，,！？!?：:"))
    ):
        return level, ""
    return level, title


def _stands_alone(body: Sequence[Block], found: Sequence[_Heading], i: int) -> bool:
    """Whether a line without a number titles what is below it: no sentence, no part of one."""
    text = tidy(body[i].text)
    longest = _LONGEST_HEADING if _ORDINAL.match(text) else _LONGEST_ALONE
    if body[i].row or len(text) > longest or not _is_title(text):
        return False
    above = body[i - 1] if i else None
    if above and not (above.row or found[i - 1][1] or above.text[-1] in _WHOLE):
        return False
    below = next((j for j in range(i + 1, len(body)) if not _OF_TABLE.match(body[j].text)), None)
    if below is None:
        return False
    level, title = found[below]
    before = found[i - 1] if i else (None, "")
    if title and level != _ALONE:  # between two headings of a rank it is what the first one says
        return not before[1] or before[0] == _ALONE or (before[0] or 0) < (level or 0)
    if title:  # two titles may stand one above the other, not three
        return below + 1 < len(body) and found[below + 1][0] != _ALONE
    if before[1] and before[0] != _ALONE and "，" in text and not _ORDINAL.match(text):
        return body[below].row  # more likely the first line of a paragraph that a page break cut
    prose = len(body[below].text) > max(len(text), _PROSE) and _PROSE_SIGN.search(body[below].text)
    return bool(prose) or body[below].row


def _is_title(text: str) -> bool:
    """Whether a line has the form of a title: words, no stop in or after them, no half a bracket."""
    letters = [char for char in text if not char.isdecimal()]
    words = sum("\u4e00" <= char <= "\u9fff" and char not in "年月日元万亿" for char in letters)
    pairs = all(text.count(a) == text.count(b) for a, b in ("“”", "（）", "《》", "‘’"))
    form = _ALONE_FORM.fullmatch(text) and not _NO_TITLE.match(text)
    return bool(form) and pairs and 2 * words >= len(letters)


def _keep_titled_sentences(body: Sequence[Block], found: list[_Heading]) -> None:
    """Take 「一、大力发展农业生产。」 for a heading where the first of such lines has text below it.

    It is a sentence as well: like a run-in heading it belongs to a passage of its own.
    """
    kept: dict[float, bool] = {}
    for i, (block, (level, title)) in enumerate(zip(body, found, strict=True)):
        if level is None or level == _ALONE:
            continue
        for deeper in [each for each in kept if each > level]:
            del kept[deeper]
        sentence = not title and len(block.text) <= _LONGEST_HEADING and block.text[-1] == "。"
        above = i + 1 < len(body) and found[i + 1][0] is None and not body[i + 1].row
        if sentence and above and (kept.get(level) or _is_first(block.text)):
            found[i] = (level, block.text.rstrip("。"))
            kept[level] = True
        elif title == "" or level not in kept:
            kept[level] = False


def _drop_list_items(body: Sequence[Block], found: list[_Heading]) -> None:
    """Leave the items of a list that are no titles.

    A line at whose end the next of its rank or a higher one begins titles nothing; and of items that
    follow each other most are titles or none is.
    """
    for i, (level, title) in enumerate(found):
        bare = bool(title) and title == body[i].text
        following = found[i + 1] if i + 1 < len(found) else (_TOP, "end")
        ends = bool(following[1]) and following[0] is not None and following[0] <= (level or 0)
        if bare and level is not None and ends and rank(title) is not None:
            found[i] = (level, "")
    for items in _lists(body, found):
        run_in = [i for i in items if found[i][1] and found[i][1] != body[i].text]
        if sum(bool(found[i][1]) for i in items) < _MOST_ITEMS * len(items):
            for i in run_in:
                found[i] = (found[i][0], "")


def _lists(body: Sequence[Block], found: Sequence[_Heading]) -> Iterator[list[int]]:
    """Yield the numbered blocks of each list: of one rank, under one heading, counted from one."""
    open_lists: dict[float, list[int]] = {}
    for i, (level, _) in enumerate(found):
        if level is None or rank(body[i].text) is None:
            continue
        for rank_ in [each for each in open_lists if each > level]:
            yield open_lists.pop(rank_)
        if level in open_lists and _is_first(body[i].text):
            yield open_lists.pop(level)
        open_lists.setdefault(level, []).append(i)
    yield from open_lists.values()


def _is_first(text: str) -> bool:
    """Whether the number at the front of a line is one."""
    match = _NUMERAL.search(text)
    return match is not None and numeral(match[0]) == 1


def _kind(title: str, parent: Section | None, written: int | None, before: Kind) -> Kind:
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
    if _APPENDIX.match(words) or words.startswith("其他"):
        return "其他"
    if _DONE.search(words):
        return "已完成"
    planned, done = bool(_PLANNED_WORD.search(words)), bool(_DONE_WORD.search(words))
    if planned is done and years and written:  # 「2025年目标任务和主要工作」
        planned, done = min(years) >= written, max(years) < written
    if planned and done:  # 「发展成就和目标任务」 tells of both
        return "其他"
    if planned or done:
        return "计划" if planned else "已完成"
    return "计划" if before == "计划" else "其他"  # reports go from what was to what will be
