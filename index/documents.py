"""Read a file into a ``Document``: decode it, hash it, find its 公文 metadata."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from index.errors import ReportError
from index.terms import is_blank, tidy
from index.types import Document, Field, Role, Span

SUFFIXES = (".md", ".txt")
MAX_BYTES = 64 * 2**20

_LINE = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_HASHES = re.compile(r"#{1,6}(?=\s|[^#\s])\s*")
_SENTENCE_END = "。；！？;!?"

_ORGAN = r"[^\s，。；、：:]{2,40}?(?:人民政府|政府|委员会|人大常委会|法院|检察院|党组|党委|省委|市委|县委|区委|国务院|[部厅局委办院署会]|办公[厅室])"
_ORGAN_LINE = re.compile(rf"(?P<organ>{_ORGAN})(?:文件)?")
_ADDRESSEE_PART = re.compile(
    r".*(?:政府|[部厅局委办院署会]|办公[厅室]|单位|部门|机构|机关|企业|公司|中心|学校|组织)(?:[（(].*[）)])?"
)
_SALUTATION = re.compile(r"各位|尊敬的|.*(?:同志|代表|委员)们?$")
_DOC_NUMBER = re.compile(
    r"[\u4e00-\u9fff]{1,16}\s*[〔\[［（(【]\s*(?:19|20)\d\d\s*[〕\]］）)】]\s*(?:第\s*)?\d+\s*号"
)
_SIGNER = re.compile(r"签发人?\s*[:：]\s*(?P<value>\S.*?)\s*$")
_GENRE = re.compile(
    r"(?:报告|公报|通报|通知|决定|决议|意见|方案|纲要|规划|计划|总结|年报|白皮书|要点|办法|规定|条例|说明|函|批复)"
    r"(?:[（(].{1,20}[）)])?$"
)
_DATE = re.compile(
    r"[（(]?(?:成文日期[:：])?\s*(?P<year>\d{4}|[〇○零一二三四五六七八九]{4})\s*年"
    r"\s*(?P<month>\d{1,2}|[一二三四五六七八九十]{1,3})\s*月"
    r"\s*(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})\s*日[）)]?"
)
_YEAR = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d|[一二][〇○零一二三四五六七八九]{3})\s*年(?P<whole>度)?"
)
_OPENING = re.compile(r"现(?:将|就).{0,40}?报告如下")
NUMBERED = re.compile(
    r"(?:第[一二三四五六七八九十]{1,3}[章节部编篇]|[一二三四五六七八九十]{1,3}[、．.]"
    r"|[（(][一二三四五六七八九十]{1,3}[）)]|\d{1,2}[、．.](?!\d)|[（(]\d{1,2}[）)])"
)
"""The start of a heading or list item by GB/T 9704: 一、（一）1.（1）, and 第一章."""


@dataclass(frozen=True, slots=True)
class Block:
    """A line that is not blank, without the blanks around it and without markdown's ``#``."""

    start: int
    end: int
    hashes: int
    text: str


def read(path: Path) -> Document:
    """Read a report.

    Raises ``ReportError`` if the file is missing, empty, too large, not text in UTF-8 or
    GB18030, or of a format that is not read.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ReportError(
            f"不能读取“{path.name}”：目前只支持 {'、'.join(SUFFIXES)} 文件，请先另存为文本。"
        )
    try:
        if not path.is_file():
            why = "这不是一个文件" if path.exists() else "文件不存在"
            raise ReportError(f"不能读取“{path}”：{why}，请检查路径。")
        if path.stat().st_size > MAX_BYTES:
            raise ReportError(
                f"不能读取“{path.name}”：文件超过 {MAX_BYTES >> 20} MB，请拆分后再添加。"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as exc:
        raise ReportError(f"不能读取“{path}”：{exc}，请检查路径和权限。") from exc
    return parse(data, name=path.name)


def parse(data: bytes, *, name: str) -> Document:
    """Make a ``Document`` of a file's bytes. Raises ``ReportError`` as ``read`` does."""
    text = _decode(data, name)
    lines = tuple(blocks(text))
    if not lines:
        raise ReportError(f"不能添加“{name}”：文件里没有文字，请换一个文件。")
    head = tuple(_head_fields(lines))
    taken = {field.spans for field in head}
    fields = (*head, *(field for field in _foot_fields(lines) if field.spans not in taken))
    # The first of a kind counts, but a date in the foot before one in the head.
    ordered = sorted(fields, key=lambda field: field.role == "成文日期" and field in head)
    values = {field.role: _value(text, field.spans) for field in reversed(ordered)}
    title = values.get("标题")
    signer = _SIGNER.search(values.get("签发人", ""))
    number = _DOC_NUMBER.search(values.get("发文字号", ""))
    day = _DATE.search(values.get("成文日期", ""))
    return Document(
        name=name,
        text=text,
        sha256=hashlib.sha256(data).hexdigest(),
        title=title,
        issuer=_issuer(values.get("发文机关"), title),
        doc_number=number[0] if number else None,
        signer=signer["value"] if signer else None,
        addressee=values["主送机关"].rstrip("：:") if "主送机关" in values else None,
        date=_date(day) if day else None,
        year=_report_year(title, lines),
        fields=fields,
    )


def blocks(text: str) -> Iterator[Block]:
    """Yield the lines of a text that show something, in order."""
    for line in _LINE.finditer(text):
        start, end = _strip(text, *line.span())
        mark = _HASHES.match(text, start, end)
        if mark:
            start = mark.end()
            start, end = _strip(text, start, end)
        if start < end:
            hashes = text.count("#", mark.start(), mark.end()) if mark else 0
            yield Block(start, end, hashes, text[start:end])


def _strip(text: str, start: int, end: int) -> Span:
    while start < end and is_blank(text[start]):
        start += 1
    while start < end and is_blank(text[end - 1]):
        end -= 1
    return start, end


def _decode(data: bytes, name: str) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for attempt in (encoding, "gb18030"):
        try:
            text = data.decode(attempt)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ReportError(
        f"不能读取“{name}”：内容不是 UTF-8 或 GB18030 编码的文本，请用文本编辑器另存为 UTF-8 后再添加。"
    )


def _value(text: str, spans: Sequence[Span]) -> str:
    return tidy("".join(text[start:end] for start, end in spans))


def _is_body(block: Block) -> bool:
    """Whether the head of the document is over: a numbered heading or a sentence."""
    return (
        bool(NUMBERED.match(block.text))
        or (len(block.text) > 20 and block.text[-1] in _SENTENCE_END)
        or len(block.text) > 80
    )


def _head_fields(lines: Sequence[Block]) -> Iterator[Field]:
    head = lines[: next((i for i, block in enumerate(lines) if _is_body(block)), len(lines))]
    title = _title_lines(head)
    if title:
        yield Field("标题", tuple((head[i].start, head[i].end) for i in title))
    for i, block in enumerate(head):
        role = _head_role(block, after_title=bool(title) and i >= title.stop)
        if role and i not in title:
            yield Field(role, ((block.start, block.end),))


def _head_role(block: Block, *, after_title: bool) -> Role | None:
    line = tidy(block.text)
    if _DOC_NUMBER.search(line):
        return "发文字号"
    if _SIGNER.search(line):
        return "签发人"
    if line[-1] in "：:" and not _SALUTATION.match(line.rstrip("：:")):
        parts = re.split("[，、]", line.rstrip("：:"))
        return "主送机关" if after_title and all(map(_ADDRESSEE_PART.fullmatch, parts)) else None
    if _DATE.fullmatch(line):
        return "成文日期"
    if not after_title and _ORGAN_LINE.fullmatch(line):
        return "发文机关"
    return None


def _title_lines(head: Sequence[Block]) -> range:
    """Return which lines of the head are the title: from 关于 (or the first) to the genre word."""
    for last, block in enumerate(head):
        if not _GENRE.search(tidy(block.text)) or _DOC_NUMBER.search(block.text):
            continue
        first = last
        while first and not block.text.startswith("关于") and _goes_on(head[first - 1]):
            first -= 1
            block = head[first]
        return range(first, last + 1)
    marked = next((i for i, block in enumerate(head) if block.hashes), None)
    return range(0) if marked is None else range(marked, marked + 1)


def _goes_on(block: Block) -> bool:
    """Whether a line is the first part of a title cut over two lines."""
    return "关于" in block.text and not _GENRE.search(tidy(block.text))


def _foot_fields(lines: Sequence[Block]) -> Iterator[Field]:
    """Find the date, and the organ above it, in the short lines that close the document."""
    for i in range(len(lines) - 1, 0, -1):
        block = lines[i]
        if _DATE.fullmatch(tidy(block.text)):
            yield Field("成文日期", ((block.start, block.end),))
            if _ORGAN_LINE.fullmatch(tidy(lines[i - 1].text)):
                yield Field("发文机关", ((lines[i - 1].start, lines[i - 1].end),))
            return
        if _is_body(block):
            return


def _issuer(line: str | None, title: str | None) -> str | None:
    match = _ORGAN_LINE.fullmatch(line) if line else None
    if not match and title:
        match = re.match(rf"(?P<organ>{_ORGAN})关于", title)
    return match["organ"] if match else None


def _report_year(title: str | None, lines: Sequence[Block]) -> int | None:
    """Return the one year that the title, or else the opening sentence, names; 年度 counts first."""
    opening = next((m[0] for block in lines for m in _OPENING.finditer(block.text)), None)
    for text in filter(None, (title, opening)):
        found = list(_YEAR.finditer(text))
        years = {_digits(m["year"]) for m in found if m["whole"]} or {
            _digits(m["year"]) for m in found
        }
        if len(years) == 1:
            return years.pop()
    return None


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(_digits(match["year"]), _digits(match["month"]), _digits(match["day"]))
    except ValueError:
        return None


def _digits(numeral: str) -> int:
    if numeral.isdecimal():
        return int(numeral)
    import cn2an

    return int(cn2an.cn2an(numeral.replace("○", "〇"), "smart"))
