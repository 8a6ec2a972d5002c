"""Plain text and markdown: the decoded bytes, nothing changed."""

from index.errors import ReportError
from index.types import Source


def read(data: bytes, name: str) -> Source:
    """Decode a text file. Raises ``ReportError`` if it is not text in a known encoding."""
    return Source(decode(data, name))


def decode(data: bytes, name: str) -> str:
    """Decode UTF-8, UTF-16 with a mark, or GB18030."""
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
