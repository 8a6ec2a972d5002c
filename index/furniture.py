"""What stands on a page beside the report: page numbers, running heads, contents, buttons of a site.

It keeps its place in the text of the document and is never found or cited. Everything is told by
where a line stands and what is around it, nothing by the name of a site.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from index.blocks import Block, rank
from index.terms import tidy

_MARKED_NUMBER = re.compile(
    r"[-—–－·]\s*\d{1,4}\s*[-—–－·]|第\s*\d{1,4}\s*页[\s/，]*(?:共?\s*\d{1,4}\s*页)?|page\s*\d[\d\s/of]*",
    re.I,
)
_SENTENCE = re.compile("[。！？；]")
_ROW_OF_A_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")  # under the head of a markdown table

_CONTENTS = re.compile(r"目\s*[录次]|contents", re.I)
_LEADER = re.compile(r"(?<![.．…·⋯_ ])[.．…·⋯_ ]{4,}[-\d\s]{0,8}$|\t\s*\d{1,4}$")
_LEADERS = 3  # lines with leaders in a row are contents, also without 目录 above
_RECUR = 0.6  # of the entries of a table of contents are headings further on
_MOST_ENTRIES = 300
_ENTRY = 60  # characters; no heading in a table of contents is longer

_FIRST_PAGE = 500  # no report begins on a later page: 2024 alone on a line is a year
_RUNNING = 60  # characters
_AT_EDGE = 2  # lines from the top or bottom of a page
_MOST_PAGES = 0.6  # a running head is on as many of all pages, or of every second one

_TINY = 4  # characters of 下载, 打印, 全屏
_BUTTONS = 3  # so many short lines in a row, one of them a sure sign, are no part of a report
# What every site of the Chinese web has around its articles; a tail begins with one of these.
_OF_SITE = re.compile(
    r"(?:责任|网站|本文|稿件)?(?:编辑|审核|校对)\s*[:：]|责编|分享|打印|关闭|收藏|点赞|下载|字[号体]|[【\[（(]字"
    r"|[上下]一[篇条页]|相关(?:链接|报道|阅读|新闻|附件|文章|推荐|稿件|信息)|扫一扫|扫码|二维码|返回(?:顶部|首页|列表)"
    r"|版权所有|友情链接|网站(?:地图|标识)|浏览(?:次数|量)|阅读(?:次数|量)|访问量|纠错|.*ICP备"
)
_LABEL = re.compile(r".{1,40}(?:[:：]|>>|》》)")
_TOLD = re.compile(r"(?P<name>[\u4e00-\u9fff\s]{2,8})[:：]\s*\S.{0,40}")
_OF_REPORT = re.compile(
    r"签发|发文|发布机构|文号|字号|主送|抄送|抄报|附|成文|印发|标题|主题|索引|联系|注|单位|编制|公开"
)
_BRACKET = re.compile(r"[【\[（(][^】\]）)]*|[^【\[（(]*[】\]）)]")
_MOMENT = re.compile(
    r"(?:19|20)\d\d\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*日?\s*\d{1,2}\s*[:：时]\s*\d{1,2}.{0,6}"
)
_TRAIL = re.compile(
    r"(?:.{0,8}(?:首页|位置).{0,8}|[^>»›＞]{2,12}[>»›＞][^>»›＞]{2,12})[>»›＞].{1,40}"
)
_SALUTATION = re.compile(r"各位|尊敬的|.*(?:同志|代表|委员|主任|主席)(?:们|、|[:：!！])")
_ADDRESSEE = re.compile(
    r".*(?:府|[部厅局委办院署会室]|单位|部门|机构|机关|企业|公司|中心|学校|组织|人大|政协)[:：]"
)
_NAMED = re.compile(
    r".*(?:政府|委员会|法院|检察院|国务院|[部厅局委办院署])|附\s*件.*|[（(].*[）)]"
    r"|[（(]?\s*(?:[\d〇○零一二三四五六七八九]{4})\s*年.{1,12}日\s*[）)]?|抄\s*送.*|.*印\s*发"
)


def furniture(lines: Sequence[Block], text: str, *, body: int) -> frozenset[int]:
    """Return where the lines begin in the text that are no part of the report.

    ``body`` is where the body of the report begins.
    """
    pages = _pages(lines, text)
    found = {line.start for line in lines if _ROW_OF_A_RULE.fullmatch(line.text)}
    found |= {line.start for line in _page_numbers(lines, pages)}
    found |= {line.start for line in _running(pages, found)}
    found |= {line.start for line in _contents(lines, text)}
    rest = [line for line in lines if line.start not in found]
    return frozenset(found | {line.start for line in _chrome(rest, body)})


def _pages(lines: Sequence[Block], text: str) -> list[list[Block]]:
    """Return the lines of each page: parted by form feeds, else by lines that are page numbers."""
    pages: list[list[Block]] = [[]]
    fed = "\f" in text
    end = 0
    for line in lines:
        if fed and "\f" in text[end : line.start] and pages[-1]:
            pages.append([])
        pages[-1].append(line)
        if not fed and _MARKED_NUMBER.fullmatch(line.text):
            pages.append([])
        end = line.end
    return [page for page in pages if page]


def _page_numbers(lines: Sequence[Block], pages: Sequence[Sequence[Block]]) -> Iterator[Block]:
    """Yield numbers marked as those of pages, and bare ones at the edge that count with the pages."""
    yield from (line for line in lines if _MARKED_NUMBER.fullmatch(line.text))
    by_offset: dict[int, list[Block]] = {}
    for i, page in enumerate(pages):
        for line in {page[0].start: page[0], page[-1].start: page[-1]}.values():
            number = re.fullmatch(r"\d{1,4}", line.text)
            if number:
                by_offset.setdefault(int(number[0]) - i, []).append(line)
    for offset, found in by_offset.items():
        if len(found) > 2 and abs(offset) < _FIRST_PAGE:
            yield from found


def _running(pages: Sequence[Sequence[Block]], taken: set[int]) -> Iterator[Block]:
    """Yield what most pages, or most of every second page, have at their top or bottom."""
    if len(pages) < 3:
        return
    edges = []
    for page in pages:
        rest = [line for line in page if line.start not in taken]
        edges.append([line for line in (*rest[:_AT_EDGE], *rest[-_AT_EDGE:]) if _may_run(line)])
    for turn in (edges, edges[::2], edges[1::2]):
        seen = Counter(key for edge in turn for key in {_masked(line) for line in edge})
        often = {
            key for key, count in seen.items() if count > 2 and count >= _MOST_PAGES * len(turn)
        }
        yield from (line for edge in turn for line in edge if _masked(line) in often)


def _may_run(line: Block) -> bool:
    sentence = _SENTENCE.search(line.text)
    return len(line.text) <= _RUNNING and not line.row and not sentence and rank(line.text) is None


def _masked(line: Block) -> str:
    """Return a line without a page number in front or behind: figures within it tell lines apart."""
    return re.sub(r"^\d{1,4}\s+|\s+[-—]?\s*\d{1,4}\s*[-—]?$|第\s*\d+\s*页", "", tidy(line.text))


def _contents(lines: Sequence[Block], text: str) -> Iterator[Block]:
    """Yield the table of contents: entries with leaders, and the lines below 目录 that recur."""
    run: list[Block] = []
    for line in (*lines, None):
        if line is not None and _LEADER.search(line.text):
            run.append(line)
            continue
        if len(run) >= _LEADERS:
            yield from run
        run = []
    for i, line in enumerate(lines):
        if _CONTENTS.fullmatch(line.text):
            entries, overleaf = _entries(lines[i:], text)
            further = {_entry(each) for each in lines[i + len(entries) + 1 :]}
            recurring = sum(_entry(entry) in further for entry in entries)
            led = any(_LEADER.search(entry.text) for entry in entries)
            if len(entries) > 1 and (overleaf or led or recurring >= _RECUR * len(entries)):
                yield line
                yield from entries


def _entries(lines: Sequence[Block], text: str) -> tuple[list[Block], bool]:
    """Return the short lines below 目录, up to the first that recurs, and whether a page ends them."""
    found: list[Block] = []
    seen: set[str] = set()
    end = lines[0].end
    for line in lines[1:_MOST_ENTRIES]:
        if "\f" in text[end : line.start]:
            return found, True
        entry = _entry(line)
        if entry in seen or len(line.text) > _ENTRY or _SENTENCE.search(line.text):
            break
        found.append(line)
        seen.add(entry)
        end = line.end
    return found, False


def _entry(line: Block) -> str:
    return tidy(re.sub(r"[\d\s-]+$", "", _LEADER.sub("", line.text)))


def _chrome(lines: Sequence[Block], body: int) -> Iterator[Block]:
    """Yield the buttons and notes of a web page above and below the report."""
    above = [line for line in lines if line.start < body]
    buttons = [
        *_runs_of_buttons(above),
        *(each for each in above if _is_trail(each) or _is_bar(each)),
    ]
    yield from buttons
    if buttons:
        yield from (line for line in above if _is_note(line))
    yield from _below(lines, of_page=bool(buttons))


def _runs_of_buttons(lines: Sequence[Block]) -> Iterator[Block]:
    """Yield short lines and labels that stand in a row: 下载 打印 【字号： 大 中 小 】."""
    run: list[Block] = []
    for line in (*lines, None):
        if line is not None and _is_button(line):
            run.append(line)
            continue
        if len(run) >= _BUTTONS and any(_is_sign(each) for each in run):
            yield from run
        run = []


def _is_sign(line: Block) -> bool:
    """Whether a short line is surely a site's: one of its words, or half a bracket."""
    return bool(_OF_SITE.match(line.text) or _BRACKET.fullmatch(line.text))


def _is_button(line: Block) -> bool:
    words = tidy(line.text)
    if _SALUTATION.match(words) or _ADDRESSEE.fullmatch(words) or rank(words) is not None:
        return False
    return len(words) <= _TINY or bool(_LABEL.fullmatch(words) or _BRACKET.fullmatch(words))


def _is_bar(line: Block) -> bool:
    """Whether buttons stand in one line: 下载 打印 【字号：大 中 小】; a name is not parted so."""
    words = line.text.split()
    return (
        len(words) >= _BUTTONS
        and sum(bool(_OF_SITE.match(word)) for word in words) > 1
        and all(len(word) <= _TINY or _BRACKET.fullmatch(word) for word in words)
        and not _SENTENCE.search(line.text)
        and not any(char.isdigit() for char in line.text)
        and rank(line.text) is None
    )


def _is_trail(line: Block) -> bool:
    """Whether a line says where on a site the page is: 首页 > 政务公开 > 工作报告."""
    return bool(_TRAIL.fullmatch(line.text)) and not _SENTENCE.search(line.text)


def _is_note(line: Block) -> bool:
    """Whether a line tells of the page, not of the report: 来源：安徽日报, 2026-02-11 07:41."""
    told = _TOLD.fullmatch(line.text)
    return bool(_MOMENT.fullmatch(line.text)) or bool(told and not _OF_REPORT.search(told["name"]))


def _below(lines: Sequence[Block], *, of_page: bool) -> Iterator[Block]:
    """Yield what follows the report: from the first sign of a site after its last paragraph on.

    On a page with buttons above the report a label with nothing behind it is a sign as well. Lines
    there that only repeat what stands in the report go with them.
    """
    last = len(lines)
    said = tidy("".join(each.text for each in lines))
    while last and not _is_text(lines[last - 1], said):
        last -= 1
    tail = lines[last:]
    signs = (i for i, line in enumerate(tail) if _begins_tail(line, of_page=of_page))
    first = next(signs, None)
    if last and first is not None:
        yield from (line for line in tail[first:] if not _NAMED.fullmatch(tidy(line.text)))


def _is_text(line: Block, said: str) -> bool:
    """Whether a line at the end is the report's: a row, an item, or a sentence said only once."""
    words = tidy(line.text)
    if line.row or (rank(words) is not None and not words.endswith((":", "："))):
        return True
    return bool(_SENTENCE.search(words)) and said.count(words[-8:]) < 2


def _begins_tail(line: Block, *, of_page: bool) -> bool:
    words = tidy(line.text)
    if _NAMED.fullmatch(words) or _SALUTATION.match(words) or len(words) > _RUNNING:
        return False
    return bool(_OF_SITE.match(words)) or (of_page and bool(_LABEL.fullmatch(words)))
