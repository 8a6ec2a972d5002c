"""Evidence: passages that someone chose to rely on, written out and checked again later."""

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from index.errors import ReportError, reason
from index.types import Passage
from search import records
from search.citation import cite
from search.pipeline import Opened

Format = Literal["docx", "md", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

Verdict = Literal["一致", "移动", "消失"]

FORMAT = "yiju-evidence/1"
MAX_ITEMS = 500
MAX_NOTE = 2000
MAX_BYTES = 16 * 2**20

_COLUMNS = (
    "序号",
    "原文",
    "出处",
    "问题",
    "批注",
    "提问时间",
    "性质",
    "页码",
    "文件",
    "文件的 SHA-256",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Item:
    """A chosen passage: what was asked when it was found, when, and what is noted on it."""

    passage: Passage
    question: str = ""
    asked: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """Chosen passages in their order, and the library and model that they came from."""

    items: tuple[Item, ...]
    made: datetime
    library: str
    model: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a quote of an exported pack.

    一致: it stands in the library where the pack says. 移动: it stands elsewhere, ``now`` is where.
    消失: it does not stand there any more.
    """

    text: str
    citation: str
    verdict: Verdict
    now: str | None = None


def collect(chosen: object, opened: Opened, *, made: datetime) -> Pack:
    """Return the pack of chosen passages: a list of ``{"d": sha256, "p": paragraph, "q", "t", "note"}``.

    The words are read from the library, never from what was sent. Raises ``ReportError`` if one is
    not there, or the list is none.
    """
    if not isinstance(chosen, list) or not all(isinstance(each, dict) for each in chosen):
        raise ReportError("证据清单的格式不对，请刷新网页后重试。")
    if not 0 < len(chosen) <= MAX_ITEMS:
        raise ReportError(f"一次可以导出 1 到 {MAX_ITEMS} 条证据，收到 {len(chosen)} 条。")
    items = tuple(_item(each, opened) for each in chosen)
    return Pack(items, made, opened.library.version, opened.encoder.fingerprint)


def write(pack: Pack, format: Format) -> bytes:
    """Return a pack as a file of one of ``FORMATS``."""
    makers = {"docx": _docx, "md": _markdown, "csv": _csv, "json": _json}
    return makers[format](pack)


def verify(data: bytes, opened: Opened) -> tuple[Verified, ...]:
    """Check an exported pack, the JSON form, against a library, quote by quote.

    Raises ``ReportError`` if it is no such pack.
    """
    return tuple(_verified(each, opened) for each in _read(data))


def read_pack(path: Path) -> bytes:
    """Return the bytes of a pack. Raises ``ReportError`` if they cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReportError(f"“{path.name}”超过 {MAX_BYTES // 2**20} MB，不是导出的证据。")
        return path.read_bytes()
    except OSError as exc:
        raise ReportError(f"不能读取“{path}”：{reason(exc)}，请检查路径和权限。") from exc


def _item(sent: dict[str, Any], opened: Opened) -> Item:
    sha256, number = sent.get("d"), sent.get("p")
    passages = opened.library.passages(document=sha256) if isinstance(sha256, str) else {}
    passage = next((p for p in passages.values() if p.number == number), None)
    if passage is None:
        raise ReportError("证据里有一段已不在资料库里，请把它移出证据后再导出。")
    note, question = (
        str(sent.get(key) or "")[:most].encode("utf-8", "ignore").decode()
        for key, most in (("note", MAX_NOTE), ("q", 512))
    )
    try:
        asked = datetime.fromisoformat(str(sent.get("t")))
    except ValueError:
        asked = None
    return Item(passage, question, asked, note)


def _json(pack: Pack) -> bytes:
    shown = {
        "format": FORMAT,
        "made": pack.made.isoformat(timespec="seconds"),
        "program": version("yiju"),
        "model": pack.model,
        "library": pack.library,
        "evidence": [
            {
                **records.of_passage(item.passage),
                "question": item.question,
                "asked": item.asked and item.asked.isoformat(timespec="seconds"),
                "note": item.note,
            }
            for item in pack.items
        ],
    }
    return json.dumps(shown, ensure_ascii=False, indent=2).encode()


def _markdown(pack: Pack) -> bytes:
    lines = ["# 证据", ""]
    for number, item in enumerate(pack.items, 1):
        lines += [f"## {number}. {_line(item.question) or '（没有问题）'}", ""]
        lines += [f"> {_literal(line)}" for line in _quoted(item.passage)]
        lines += [">", f"> —— {_literal(cite(item.passage))}", ""]
        lines += [f"批注：{_literal(_line(item.note))}", ""] if item.note else []
        lines += [f"文件：{_literal(_source(item))}", ""]
    return "\n".join([*lines, _made(pack), ""]).encode()


def _csv(pack: Pack) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for number, item in enumerate(pack.items, 1):
        passage = item.passage
        asked = item.asked.isoformat(sep=" ", timespec="seconds") if item.asked else ""
        row = (
            number, "\n".join(_quoted(passage)), cite(passage), item.question, item.note, asked,
            passage.kind, passage.page or "", passage.document.name, passage.document.sha256,
        )  # fmt: skip
        writer.writerow([_cell(str(value)) for value in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()  # Excel takes it for GBK without the mark


def _docx(pack: Pack) -> bytes:
    import docx

    written = docx.Document()
    written.add_heading("证据", 0)
    for number, item in enumerate(pack.items, 1):
        written.add_heading(_xml(f"{number}. {item.question or '（没有问题）'}"), 2)
        for line in _quoted(item.passage):
            written.add_paragraph(_xml(line), style="Quote")
        written.add_paragraph(_xml(f"—— {cite(item.passage)}"))
        if item.note:
            written.add_paragraph(_xml(f"批注：{item.note}"))
        written.add_paragraph(_xml(f"文件：{_source(item)}"))
    written.add_paragraph(_made(pack))
    out = io.BytesIO()
    written.save(out)
    return out.getvalue()


def _quoted(passage: Passage) -> list[str]:
    """Return a passage's own lines; for a row of a table with what stands at its head."""
    return [*passage.header_text, passage.text]


def _source(item: Item) -> str:
    asked = f"，提问时间 {item.asked:%Y-%m-%d %H:%M}" if item.asked else ""
    return f"{item.passage.document.name}，SHA-256 {item.passage.document.sha256}{asked}"


def _made(pack: Pack) -> str:
    return (
        f"由“依据”{version('yiju')} 于 {pack.made:%Y-%m-%d %H:%M} 导出；"
        f"资料库版本 {pack.library}，模型 {pack.model}。"
    )


def _cell(text: str) -> str:
    """Keep a spreadsheet from reading a cell as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(text: str) -> str:
    return " ".join(text.split())


def _literal(text: str) -> str:
    """Keep Markdown from reading a text as markup."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|!" else char for char in text)


def _xml(text: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(c for c in text if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff"))


def _read(data: bytes) -> list[dict[str, Any]]:
    wrong = ReportError("这不是“依据”导出的 JSON 证据，请给出导出的 .json 文件。")
    try:
        pack = json.loads(data)
        if pack["format"] != FORMAT:
            raise wrong
        rows = pack["evidence"]
        whole = all(
            isinstance(row["text"], str)
            and isinstance(row["citation"], str)
            and isinstance(row["document"]["sha256"], str)
            and all(isinstance(at, int) for span in row["spans"] for at in span)
            and all(len(span) == 2 for span in row["spans"])
            for row in rows
        )
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise wrong from exc
    if not whole:
        raise wrong
    return list(rows)


def _verified(row: dict[str, Any], opened: Opened) -> Verified:
    text, citation, sha256 = row["text"], row["citation"], row["document"]["sha256"]
    known = next((r.id for r in opened.reports if r.document.sha256 == sha256), None)
    document = None if known is None else opened.library.document(known)
    if document and text and "".join(document.text[a:b] for a, b in row["spans"]) == text:
        return Verified(text, citation, "一致")
    for place in opened.streams.standing(text):
        if place.source == text:
            now = cite(place.passages[0]) if place.passages else f"《{place.document.name}》"
            return Verified(text, citation, "移动", now)
    return Verified(text, citation, "消失")
