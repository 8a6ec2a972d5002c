"""Read a file into a ``Document``: its text by the reader for its format, and its 公文 metadata."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from index.blocks import Block, joined, lines, rank
from index.errors import ReportError, reason
from index.furniture import furniture
from index.readers.apart import read_apart
from index.terms import numeral, plain, tidy
from index.types import Document, Field, Role, Span

MAX_BYTES = 64 * 2**20
_SHORT = 20  # characters; a longer line that ends like a sentence is one
_HEAD_LINE = 80  # characters; no line of the head is longer

_SENTENCE_END = "。；！？;!?"

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
    r"(?:报告|预算|决算|执行情况|工作情况|建设情况|公报|通报|通知|通告|公告|决定|决议|意见|方案|纲要|规划|计划|总结|综述|年报|白皮书|要点|办法|规定"
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
# Where a report was given: ——2025年1月19日在重庆市第六届人民代表大会第三次会议上
_HELD = re.compile(
    rf"[—–\-－（(\s]*{_DATE.pattern}(?:[和、至]\S{{1,3}}日)?\S{{0,24}}?[在于]\S{{4,40}}?(?:会议|大会)"
)
_TITLE_AND_REST = re.compile(r"(?P<title>[^—。，]{2,40}?报告(?:（.{1,10}?）)?)\s*(?P<rest>——.*)")
_BY_ORGAN = re.compile(rf"\S{{2,8}}(?:机关|机构|单位|部门)[:：](?P<organ>{_ORGAN})")
_WITH_PLACE = re.compile(r"\S{1,8}[省市县区州盟旗]\S")  # an organ below the title is named in full
_BEGUN_ORGAN = re.compile(r"[\u4e00-\u9fff]{2,}[省市县区州盟旗][\u4e00-\u9fff]+")
_SPOKEN = re.compile(
    r"我(?:谨)?代表(?P<organ>国务院|(?![省市县区州本自])[\u4e00-\u9fff]{2,12}?人民政府)"
)
_OPENING_BLOCKS = 12  # among the first so many the speaker says for whom the report is given
_AFTER_DATE = re.compile(
    r"[（(【\[]|附\s*件|附\s*[:：]|抄\s*送|主\s*送|印\s*发|联系人|公开|.*印发$"
)


def read(path: Path) -> Document:
    """Read a report.

    Raises ``ReportError`` if the file is missing, empty, too large, damaged, encrypted, without
    text, or of a format that is not read or not what its suffix says.
    """
    return parse(load(path), name=path.name)


def load(path: Path) -> bytes:
    """Return the bytes of a file. Raises ``ReportError`` if it is missing or too large."""
    try:
        str(path).encode()  # names that are no text come out of old archives
    except UnicodeEncodeError as exc:
        shown = str(path).encode("utf-8", "replace").decode()
        raise ReportError(f"不能读取“{shown}”：文件名不是正常的文字，请改名后再添加。") from exc
    try:
        if not path.is_file():
            why = "这不是一个文件" if path.exists() else "文件不存在"
            raise ReportError(f"不能读取“{path}”：{why}，请检查路径。")
        if path.stat().st_size > MAX_BYTES:
            raise ReportError(
                f"不能读取“{path.name}”：文件超过 {MAX_BYTES >> 20} MB，请拆分后再添加。"
            )
        return path.read_bytes()
    except (OSError, ValueError) as exc:
        raise ReportError(f"不能读取“{path}”：{reason(exc)}，请检查路径和权限。") from exc


def parse(data: bytes, *, name: str) -> Document:
    """Make a ``Document`` of a file's bytes. Raises ``ReportError`` as ``read`` does."""
    source = read_apart(data, name)
    text = source.text
    every = lines(text)
    if not every:
        raise ReportError(f"不能添加“{name}”：文件里没有文字，请换一个文件。")
    body = next((line.start for line in every if is_body(line)), len(text))
    beside = furniture(every, text, body=body)
    shown = joined([line for line in every if line.start not in beside], text)
    if not shown:
        raise ReportError(
            f"不能添加“{name}”：文件里没有正文，只有页码、目录一类的内容，请换一个文件。"
        )
    head = tuple(_head_fields(shown))
    taken = {field.spans for field in head}
    fields = (*head, *(field for field in _foot_fields(shown) if field.spans not in taken))
    # The first of a kind counts, but a date in the foot before one in the head.
    ordered = sorted(fields, key=lambda field: field.role == "成文日期" and field in head)
    raw = {field.role: _raw(text, field.spans) for field in reversed(ordered)}
    values = {role: tidy(value) for role, value in raw.items()}
    title = values.get("标题")
    number = _DOC_NUMBER.search(values.get("发文字号", ""))
    day = _DATE.search(values.get("成文日期", ""))
    on = _date(day) if day else None
    return Document(
        name=name,
        text=text,
        sha256=hashlib.sha256(data).hexdigest(),
        title=title,
        issuer=_issuer(values.get("发文机关"), title, shown),
        doc_number=number[0] if number else None,
        signer=_signer(raw.get("签发人")),
        addressee=values["主送机关"].rstrip("：:") if "主送机关" in values else None,
        date=on,
        year=_report_year(title, shown, on),
        fields=fields,
        furniture=tuple((line.start, line.end) for line in every if line.start in beside),
        pages=source.pages,
    )


def blocks(document: Document) -> list[Block]:
    """Return the blocks of a document in order, without what is no part of the report."""
    beside = {start for start, _ in document.furniture}
    shown = [line for line in lines(document.text) if line.start not in beside]
    return joined(shown, document.text)


def _raw(text: str, spans: Sequence[Span]) -> str:
    return plain("".join(text[start:end] for start, end in spans))


def is_body(block: Block) -> bool:
    """Whether a line is of the body: it begins with a number, is a sentence, or opens the report."""
    line = tidy(block.text)
    if _HELD.match(line):
        return False
    return (
        block.row
        or rank(line) is not None
        or bool(_OPENING.search(line))
        or len(line) > _HEAD_LINE
        or (
            len(line) > _SHORT
            and (line[-1] in _SENTENCE_END or ("，" in line and line[-1] not in "：:"))
        )
    )


def _head_fields(shown: Sequence[Block]) -> Iterator[Field]:
    whole = shown[: next((i for i, block in enumerate(shown) if is_body(block)), len(shown))]
    head = [part for block in whole for part in _title_and_rest(block)]
    title = _title_lines(head)
    if title:
        yield Field("标题", tuple(span for i in title for span in head[i].spans))
    told = list(title)
    for i, block in enumerate(head):
        if i not in title:
            before = head[i - 1] if i and i - 1 not in told else None
            found = list(_line_fields(block, before, after_title=bool(title) and i >= title.stop))
            told += [i] * bool(found)
            yield from found


def _title_and_rest(block: Block) -> Iterator[Block]:
    """Part a line that holds the title and, behind a dash, when and where the report was given."""
    match = _TITLE_AND_REST.fullmatch(block.text)
    if not match:
        yield block
        return
    yield block.part(*match.span("title"))
    yield block.part(*match.span("rest"))


def _line_fields(block: Block, before: Block | None, *, after_title: bool) -> Iterator[Field]:
    """Yield what a line of the head holds; 文号 and 签发人 may share one."""
    register = _REGISTER.fullmatch(block.text)
    if register:
        roles: tuple[tuple[Role, str], ...] = (("发文字号", "number"), ("签发人", "signer"))
        for role, group in roles:
            if register[group]:
                yield Field(role, block.part(*register.span(group)).spans)
        return
    other = _head_role(tidy(block.text), after_title=after_title)
    if other == "发文机关" and before and _BEGUN_ORGAN.fullmatch(tidy(before.text)):
        yield Field(other, before.spans + block.spans)
    elif other:
        yield Field(other, block.spans)


def _head_role(line: str, *, after_title: bool) -> Role | None:
    if line[-1] in "：:" and not _SALUTATION.match(line.rstrip("：:")):
        parts = re.split("[，、]", re.sub("[（(].*?[）)]", "", line.rstrip("：:")))
        return "主送机关" if after_title and all(map(_ADDRESSEE_PART.fullmatch, parts)) else None
    if _DATE.fullmatch(line) or _HELD.match(line):
        return "成文日期"
    if _BY_ORGAN.fullmatch(line):
        return "发文机关"
    if not _ORGAN_LINE.fullmatch(line) or (after_title and not _WITH_PLACE.match(line)):
        return None
    return "发文机关"


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


def _foot_fields(shown: Sequence[Block]) -> Iterator[Field]:
    """Find the date at the foot: below the name of an organ, or above nothing but its notes."""
    body = next((i for i, block in enumerate(shown) if is_body(block)), len(shown))
    notes = True
    for i in range(len(shown) - 1, body, -1):
        line = tidy(shown[i].text)
        signed = bool(_ORGAN_LINE.fullmatch(tidy(shown[i - 1].text)))
        if _DATE.fullmatch(line) and (signed or notes):
            yield Field("成文日期", shown[i].spans)
            if signed:
                yield Field("发文机关", shown[i - 1].spans)
            return
        notes = notes and (bool(_AFTER_DATE.match(line)) or not is_body(shown[i]))


def _issuer(line: str | None, title: str | None, shown: Sequence[Block]) -> str | None:
    """Return who issued the report: by its own line, by the title, or by who speaks in it."""
    match = (_ORGAN_LINE.fullmatch(line) or _BY_ORGAN.fullmatch(line)) if line else None
    if not match and title:
        match = re.match(rf"(?P<organ>{_ORGAN})关于", title)
    if not match:
        spoken = (_SPOKEN.search(tidy(block.text)) for block in shown[:_OPENING_BLOCKS])
        match = next(filter(None, spoken), None)
    return match["organ"] if match else None


def _signer(line: str | None) -> str | None:
    """Return the names after 签发人：, a blank between two."""
    names = re.split("[:：]", line, maxsplit=1)[1].split() if line else []
    joint = "" if all(len(name) == 1 for name in names) else " "
    return joint.join(names) or None


def _report_year(title: str | None, shown: Sequence[Block], day: date | None) -> int | None:
    """Return the one year that the title, or else the opening sentence, names; 年度 counts first.

    A 政府工作报告 that names none is that of the year in which it was given.
    """
    opening = next((m[0] for block in shown for m in _OPENING.finditer(block.text)), None)
    for text in filter(None, (title, opening)):
        if _YEARS.search(text):
            return None
        found = list(_YEAR.finditer(text))
        whole = {numeral(m["year"]) for m in found if m["whole"]}
        years = whole or {numeral(m["year"]) for m in found}
        if len(years) == 1:
            return years.pop()
    return day.year if day and title and title.endswith("政府工作报告") else None


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(*(numeral(match[part]) for part in ("year", "month", "day")))
    except ValueError:
        return None
