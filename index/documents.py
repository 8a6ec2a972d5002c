"""Read a file into a ``Document``: decode it, hash it, find its 公文 metadata."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from index.errors import ReportError, reason
from index.terms import is_blank, numeral, tidy
from index.types import Document, Field, Role, Span

SUFFIXES = (".md", ".txt")
MAX_BYTES = 64 * 2**20
_SHORT = 20  # characters; a longer line that ends like a sentence is one
_HEAD_LINE = 80  # characters; no line of the head is longer

_LINE = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SENTENCE_END = "。；！？;!?"

_COUNT = "[一二三四五六七八九十]{1,3}"
_RANKS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"第{_COUNT}(?:[章编篇]|部分)",
        rf"第{_COUNT}节",
        rf"{_COUNT}\s*[、．.]",
        rf"[（(]{_COUNT}[）)]|[㈠-㈩]",
        r"\d{1,2}\s*[、．.](?!\d)",
        r"[（(]\d{1,2}[）)]",
    )
)
_HASHES = re.compile(r"#{1,6}(?:\s+|(?=[第（(一二三四五六七八九十\d]))")

_ORGAN = (
    r"[^\s，。；、：:]{2,40}?(?:人民政府|政府|委员会|人大常委会|法院|检察院|党组|党委"
    r"|省委|市委|县委|区委|国务院|[部厅局委办院署会]|办公[厅室])"
)
_ORGAN_LINE = re.compile(rf"(?P<organ>{_ORGAN})(?:文件)?")
_ADDRESSEE_PART = re.compile(
    r".*(?:政府|[部厅局委办院署会]|办公[厅室]|单位|部门|机构|机关|企业|公司|中心|学校|组织)"
    r"(?:[（(].*[）)])?"
)
_SALUTATION = re.compile(r"各位|尊敬的|.*(?:同志|代表|委员)们?$")
_NUMBER = (
    r"[\u4e00-\u9fff]{1,16}\s*[〔\[［（(【]\s*(?:19|20)\d\d\s*[〕\]］）)】]\s*(?:第\s*)?\d+\s*号"
)
_REGISTER = re.compile(
    rf"(?:(?P<number>(?:(?:发文)?[字文]号\s*[:：]\s*)?{_NUMBER}))?\s*"
    r"(?P<signer>签发人?\s*[:：]\s*\S.*)?"
)
_DOC_NUMBER = re.compile(_NUMBER)
_GENRE = re.compile(
    r"(?:报告|公报|通报|通知|通告|公告|决定|决议|意见|方案|纲要|规划|计划|总结|综述|年报|白皮书|要点|办法|规定"
    r"|条例|说明|汇报|请示|纪要|函|批复)(?:[（(].{1,20}[）)]|》|\[\d+\])?$"
)
_DATE = re.compile(
    r"[（(]?(?:成文日期[:：])?\s*(?P<year>\d{4}|[〇○零一二三四五六七八九]{4})\s*年"
    r"\s*(?P<month>\d{1,2}|[一二三四五六七八九十]{1,3})\s*月"
    r"\s*(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})\s*日[）)]?"
)
_YEAR = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d|[一二][〇○零一二三四五六七八九]{3})\s*年(?!\s*\d+\s*月)(?P<whole>度)?"
)
_YEARS = re.compile(r"\d{4}\s*年?\s*[—–\-－~～至到]+\s*\d{4}\s*年")
_OPENING = re.compile(r"现(?:将|就|把)?.{0,60}?(?:报告|汇报|通报|总结)如下")
_AFTER_DATE = re.compile(
    r"[（(【\[]|附\s*件|附\s*[:：]|抄\s*送|主\s*送|印\s*发|联系人|公开|.*印发$"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A line that is not blank, without the blanks around it and without markdown's ``#``.

    ``indented`` lines begin a paragraph: 　　 or two spaces in front.
    """

    start: int
    end: int
    hashes: int
    indented: bool
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
        raise ReportError(f"不能读取“{path}”：{reason(exc)}，请检查路径和权限。") from exc
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
    raw = {field.role: _raw(text, field.spans) for field in reversed(ordered)}
    values = {role: tidy(value) for role, value in raw.items()}
    title = values.get("标题")
    number = _DOC_NUMBER.search(values.get("发文字号", ""))
    day = _DATE.search(values.get("成文日期", ""))
    return Document(
        name=name,
        text=text,
        sha256=hashlib.sha256(data).hexdigest(),
        title=title,
        issuer=_issuer(values.get("发文机关"), title),
        doc_number=number[0] if number else None,
        signer=_signer(raw.get("签发人")),
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
            closing = len(text[mark.end() : end].rstrip("#"))
            start, end = _strip(text, mark.end(), mark.end() + closing)
        if start < end:
            hashes = text.count("#", mark.start(), mark.end()) if mark else 0
            indented = (
                text[line.start() : start].expandtabs().count(" ") > 1
                or "\u3000" in (text[line.start() : start])
            )
            yield Block(start, end, hashes, indented and not hashes, text[start:end])


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
        if "\0" not in text and (attempt != "gb18030" or _is_chinese(text)):
            return text
    raise ReportError(
        f"不能读取“{name}”：内容不是 UTF-8 或 GB18030 编码的文本，请用文本编辑器另存为 UTF-8 后再添加。"
    )


def _is_chinese(text: str) -> bool:
    """Whether bytes read as GB18030 make sense: other encodings read so give rare characters."""
    hanzi = [char for char in text if "\u2e80" <= char <= "\U0003ffff" and not char.isspace()]
    common = sum(len(char.encode("gb2312", "ignore")) > 0 for char in hanzi)
    return common >= 0.6 * len(hanzi)


def _raw(text: str, spans: Sequence[Span]) -> str:
    return "".join(text[start:end] for start, end in spans)


def rank(line: str) -> int | None:
    """Return the rank of the number that a heading or list item begins with, 0 the highest.

    By GB/T 9704: 第一章, 第一节, 一、（一）1.（1）. None if the line begins with no number.
    """
    return next((i for i, start in enumerate(_RANKS) if start.match(line)), None)


def is_body(block: Block) -> bool:
    """Whether a line is of the body: it begins with a number, is a sentence, or opens the report."""
    line = tidy(block.text)
    return (
        rank(line) is not None
        or bool(_OPENING.search(line))
        or len(line) > _HEAD_LINE
        or (
            len(line) > _SHORT
            and (line[-1] in _SENTENCE_END or ("，" in line and line[-1] not in "：:"))
        )
    )


def _head_fields(lines: Sequence[Block]) -> Iterator[Field]:
    head = lines[: next((i for i, block in enumerate(lines) if is_body(block)), len(lines))]
    title = _title_lines(head)
    if title:
        yield Field("标题", tuple((head[i].start, head[i].end) for i in title))
    for i, block in enumerate(head):
        if i not in title:
            yield from _line_fields(block, after_title=bool(title) and i >= title.stop)


def _line_fields(block: Block, *, after_title: bool) -> Iterator[Field]:
    """Yield what a line of the head holds; 文号 and 签发人 may share one."""
    register = _REGISTER.fullmatch(block.text)
    if register:
        roles: tuple[tuple[Role, str], ...] = (("发文字号", "number"), ("签发人", "signer"))
        for role, group in roles:
            if register[group]:
                start, end = register.span(group)
                yield Field(role, ((block.start + start, block.start + end),))
        return
    other = _head_role(tidy(block.text), after_title=after_title)
    if other:
        yield Field(other, ((block.start, block.end),))


def _head_role(line: str, *, after_title: bool) -> Role | None:
    if line[-1] in "：:" and not _SALUTATION.match(line.rstrip("：:")):
        parts = re.split("[，、]", re.sub("[（(].*?[）)]", "", line.rstrip("：:")))
        return "主送机关" if after_title and all(map(_ADDRESSEE_PART.fullmatch, parts)) else None
    if _DATE.fullmatch(line):
        return "成文日期"
    return "发文机关" if not after_title and _ORGAN_LINE.fullmatch(line) else None


def _title_lines(head: Sequence[Block]) -> range:
    """Return which lines of the head are the title.

    It ends with the word for its genre and may begin with 关于 on a line before. Without a genre
    it is the line that begins with 关于 or 《, else the first marked with ``#`` that is no organ.
    """
    lines = [tidy(block.text) for block in head]
    for last, line in enumerate(lines):
        if _GENRE.search(line) and not _REGISTER.fullmatch(line):
            first = last
            while first and not lines[first].startswith("关于") and _goes_on(lines[first - 1]):
                first -= 1
            return range(first, last + 1)
    named = (i for i, line in enumerate(lines) if line.startswith(("关于", "《")))
    marked = (i for i, b in enumerate(head) if b.hashes and not _ORGAN_LINE.fullmatch(lines[i]))
    found = next(named, next(marked, None))
    return range(0) if found is None else range(found, found + 1)


def _goes_on(line: str) -> bool:
    """Whether a line is the first part of a title cut over two lines."""
    return "关于" in line and not _GENRE.search(line)


def _foot_fields(lines: Sequence[Block]) -> Iterator[Field]:
    """Find the date at the foot: below the name of an organ, or above nothing but its notes."""
    body = next((i for i, block in enumerate(lines) if is_body(block)), len(lines))
    notes = True
    for i in range(len(lines) - 1, body, -1):
        line = tidy(lines[i].text)
        signed = bool(_ORGAN_LINE.fullmatch(tidy(lines[i - 1].text)))
        if _DATE.fullmatch(line) and (signed or notes):
            yield Field("成文日期", ((lines[i].start, lines[i].end),))
            if signed:
                yield Field("发文机关", ((lines[i - 1].start, lines[i - 1].end),))
            return
        notes = notes and (bool(_AFTER_DATE.match(line)) or not is_body(lines[i]))


def _issuer(line: str | None, title: str | None) -> str | None:
    match = _ORGAN_LINE.fullmatch(line) if line else None
    if not match and title:
        match = re.match(rf"(?P<organ>{_ORGAN})关于", title)
    return match["organ"] if match else None


def _signer(line: str | None) -> str | None:
    """Return the names after 签发人：, a blank between two."""
    names = re.split("[:：]", line, maxsplit=1)[1].split() if line else []
    joint = "" if all(len(name) == 1 for name in names) else " "
    return joint.join(names) or None


def _report_year(title: str | None, lines: Sequence[Block]) -> int | None:
    """Return the one year that the title, or else the opening sentence, names; 年度 counts first."""
    opening = next((m[0] for block in lines for m in _OPENING.finditer(block.text)), None)
    for text in filter(None, (title, opening)):
        if _YEARS.search(text):
            return None
        found = list(_YEAR.finditer(text))
        whole = {numeral(m["year"]) for m in found if m["whole"]}
        years = whole or {numeral(m["year"]) for m in found}
        if len(years) == 1:
            return years.pop()
    return None


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(*(numeral(match[part]) for part in ("year", "month", "day")))
    except ValueError:
        return None
