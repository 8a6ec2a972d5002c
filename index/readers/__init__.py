"""From the bytes of a file to text: one reader for each format."""

import re
import zipfile
from io import BytesIO
from pathlib import PurePath

from index.errors import ReportError
from index.types import Source

_READERS = {
    ".md": "text",
    ".markdown": "text",
    ".txt": "text",
    ".docx": "docx",
    ".pdf": "pdf",
    ".html": "html",
    ".htm": "html",
}
SUFFIXES = tuple(_READERS)
_KINDS = {"text": "纯文本", "docx": "Word 文档（.docx）", "pdf": "PDF", "html": "网页"}
_SAVE_AS = {
    ".doc": "旧版 Word 文档，请另存为 .docx",
    ".wps": "WPS 文档，请另存为 .docx",
    ".rtf": "RTF 文档，请另存为 .docx",
    ".ofd": "OFD 版式文件，请转成 PDF",
    ".xls": "表格文件，请另存为网页或 PDF",
    ".xlsx": "表格文件，请另存为网页或 PDF",
    ".mht": "打包的网页，请另存为 .html",
}
KNOWN_SUFFIXES = tuple(_SAVE_AS)
"""Of documents that are not read, with what to do about it."""

MAX_CHARACTERS = 2_000_000  # of text; the longest real report here has 60,000
MAX_LINES = 200_000

_MAX_UNZIPPED = 64 * 2**20
_MAX_MEMBERS = 2000
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).){0,500}-->\s*){0,9}<(?:!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)


def read_source(data: bytes, name: str) -> Source:
    """Return the text of a file, by the reader for its suffix; a name without one is text.

    Raises ``ReportError`` if the format is not read, is not what the suffix says, or the file is
    damaged, encrypted or without text.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix and suffix not in _READERS:
        known = _SAVE_AS.get(suffix)
        formats = "、".join(SUFFIXES)
        raise ReportError(
            f"不能读取“{name}”：这是{known}，然后再添加。"
            if known
            else f"不能读取“{name}”：不支持这种格式，只支持 {formats} 文件，请先另存。"
        )
    if not data.strip():
        raise ReportError(f"不能添加“{name}”：文件是空的，请换一个文件。")
    reader = _READERS.get(suffix, "text")
    found = _sniff(data, name) or ("text" if reader in ("docx", "pdf") else reader)
    if found != reader:
        raise ReportError(
            f"不能读取“{name}”：扩展名是 {suffix or '空的'}，内容却是{_KINDS[found]}，请改正扩展名或换一个文件。"
        )
    source = _read(reader, data, name)
    if len(source.text) > MAX_CHARACTERS or source.text.count("\n") > MAX_LINES:
        raise ReportError(
            f"不能添加“{name}”：文字超过 {MAX_CHARACTERS // 10_000} 万字或"
            f" {MAX_LINES // 10_000} 万行，请拆分后再添加。"
        )
    return source


def is_text(data: bytes, name: str) -> bool:
    """Whether a file is read without a library that it could bring down."""
    suffix = PurePath(name).suffix.lower()
    return _READERS.get(suffix, "text") == "text" and not data.startswith(b"PK\x03\x04")


def _read(reader: str, data: bytes, name: str) -> Source:
    """Read by one of the readers; the library for a format is loaded when a file of it is met."""
    match reader:
        case "docx":
            from index.readers.docx import read
        case "pdf":
            from index.readers.pdf import read
        case "html":
            from index.readers.html import read
        case _:
            from index.readers.text import read
    return read(data, name)


def damaged(name: str) -> ReportError:
    """Return what to tell of a file that its reader cannot make sense of."""
    return ReportError(f"不能读取“{name}”：文件已损坏，请重新下载或另存后再添加。")


def _sniff(data: bytes, name: str) -> str | None:
    """Return the reader for what the bytes are, None if nothing tells."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ReportError(
            f"不能读取“{name}”：文件已加密，或是旧版 Office 文档，请去掉密码并另存为 .docx 后再添加。"
        )
    if data.startswith(b"PK\x03\x04"):
        return _sniff_zip(data, name)
    return "html" if _HTML.match(data.removeprefix(b"\xef\xbb\xbf")[:4096]) else None


def _sniff_zip(data: bytes, name: str) -> str:
    try:
        members = zipfile.ZipFile(BytesIO(data)).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, RuntimeError) as exc:
        raise damaged(name) from exc
    if sum(m.file_size for m in members) > _MAX_UNZIPPED or len(members) > _MAX_MEMBERS:
        raise ReportError(
            f"不能读取“{name}”：解压后超过 {_MAX_UNZIPPED >> 20} MB 或 {_MAX_MEMBERS} 个部件，请拆分后再添加。"
        )
    if not any(member.filename == "word/document.xml" for member in members):
        raise ReportError(
            f"不能读取“{name}”：内容是压缩包或其他 Office 文件，不是 Word 文档，请解压或另存为 .docx。"
        )
    return "docx"
