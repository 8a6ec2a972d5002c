"""Word documents (.docx), by python-docx: paragraphs with the numbers that Word makes, and tables.

Text that a tracked change deletes is left out, text that it inserts is in. Headers and footers of
pages and the table of contents that Word makes are no part of the text.
"""

import itertools
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from docx import Document as open_docx
from docx.oxml.ns import qn
from docx.table import Table
from lxml import etree

from index.errors import ReportError
from index.readers import damaged, table
from index.types import Source

_SKIPPED = {qn(f"w:{tag}") for tag in ("del", "moveFrom", "txbxContent", "rPr", "pPr")} | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
}
_CHARACTERS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_DIGITS = "零一二三四五六七八九"


def read(data: bytes, name: str) -> Source:
    """Read a Word document. Raises ``ReportError`` if it is damaged."""
    try:
        document = open_docx(BytesIO(data))
        if document.element.getroottree().docinfo.internalDTD is not None:
            raise ValueError(
                "Word declares no entities, and text would be missing where they stand"
            )
        _unwrap(document.element.body)
        numbering = _Numbering(document)
        lines = [*_lines(document.element.body, document, numbering), *_footnotes(document)]
        text = "\n".join(lines)
    except Exception as exc:  # python-docx, zipfile and lxml raise whatever a broken file leads to
        raise damaged(name) from exc
    if not text.strip():
        raise ReportError(
            f"不能添加“{name}”：文档里没有文字，可能只有图片，请先做文字识别（OCR）再添加。"
        )
    return Source(text)


def _lines(container: Any, document: Any, numbering: "_Numbering") -> Iterator[str]:
    for element in container:
        if element.tag == qn("w:p"):
            yield _paragraph(element, numbering)
            for box in element.iter(qn("w:txbxContent")):
                if not any(up.tag in _SKIPPED for up in box.iterancestors()):
                    yield from _lines(box, document, numbering)
        elif element.tag == qn("w:tbl"):
            yield from _table(Table(element, document), numbering)
        elif element.tag in (qn("w:ins"), qn("w:moveTo"), qn("w:customXml")):
            yield from _lines(element, document, numbering)


def _unwrap(body: Any) -> None:
    """Put the content of controls in their place; that of Word's own table of contents goes."""
    for control in list(body.iter(qn("w:sdt"))):
        parent, content = control.getparent(), control.find(qn("w:sdtContent"))
        place = parent.index(control)
        for child in list(content) if content is not None and not _is_contents(control) else ():
            parent.insert(place, child)
            place += 1
        parent.remove(control)


def _footnotes(document: Any) -> Iterator[str]:
    """Yield the footnotes, one a line, as they follow each other in the file."""
    for relation in document.part.rels.values():
        if relation.reltype.endswith("/footnotes") and not relation.is_external:
            for note in etree.fromstring(relation.target_part.blob, _parser()):
                if note.get(qn("w:type")) is None:  # else it is a rule between text and notes
                    yield "".join(_characters(note))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)


def _is_contents(element: Any) -> bool:
    """Whether a block is the table of contents that Word makes."""
    galleries = element.iter(qn("w:docPartGallery"))
    return any(each.get(qn("w:val")) == "Table of Contents" for each in galleries)


def _paragraph(element: Any, numbering: "_Numbering") -> str:
    text = "".join(_characters(element))
    if not text.strip():
        return ""
    level = numbering.outline_level(element)
    hashes = "#" * (level + 1) + " " if level is not None and len(text) <= 50 else ""
    return f"{hashes}{numbering.label(element)}{text}"


def _characters(element: Any) -> Iterator[str]:
    for child in element:
        vanish = child.find(f"{qn('w:rPr')}/{qn('w:vanish')}") if child.tag == qn("w:r") else None
        hidden = vanish is not None and vanish.get(qn("w:val")) not in ("0", "false", "off")
        if child.tag in _SKIPPED or hidden:
            continue
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        else:
            yield from _characters(child)


def _table(found: Table, numbering: "_Numbering") -> Iterator[str]:
    """Yield a table as rows; one that only frames text as its paragraphs."""
    rows = [[cell._tc for cell in row.cells] for row in found.rows]  # python-docx derives them anew
    seen: dict[Any, str] = {}
    for cell in itertools.chain.from_iterable(rows):
        if cell not in seen:
            seen[cell] = "\n".join(_lines(cell, found, numbering))
    grid = [
        ["" if i and cell is row[i - 1] else seen[cell] for i, cell in enumerate(row)]
        for row in rows
    ]
    width = max(map(len, grid), default=0)
    grid = [row + [""] * (width - len(row)) for row in grid]
    if table.is_table(grid):
        yield from ("", *table.lines(grid), "")
    else:
        yield from seen.values()


class _Numbering:
    """The numbers that Word puts before paragraphs: they are not in the text of the file."""

    def __init__(self, document: Any) -> None:
        self._styles = {
            style.get(qn("w:styleId")): style
            for style in document.styles.element.iter(qn("w:style"))
        }
        self._abstract: dict[str, Any] = {}
        self._numbers: dict[str, Any] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._overridden: set[str] = set()
        try:
            root = document.part.numbering_part.element
        except (KeyError, NotImplementedError):  # python-docx: a document without lists has none
            return
        for element in root.iter(qn("w:abstractNum")):
            self._abstract[element.get(qn("w:abstractNumId"))] = element
        for element in root.iter(qn("w:num")):
            self._numbers[element.get(qn("w:numId"))] = element

    def outline_level(self, paragraph: Any) -> int | None:
        """Return the level of a heading from 0, None for a paragraph of the text."""
        found = self._value(paragraph, "w:outlineLvl")
        level = int(found) if found and found.isdecimal() else 9
        return level if level < 9 else None

    def label(self, paragraph: Any) -> str:
        """Return the number of a paragraph as Word shows it, counting on; "" if it has none."""
        id, level = self._value(paragraph, "w:numId"), int(self._value(paragraph, "w:ilvl") or 0)
        number = self._numbers.get(id or "")
        if number is None:
            return ""
        abstract = number.find(qn("w:abstractNumId")).get(qn("w:val"))
        counts = self._counts.setdefault(abstract, {})
        self._override(id or "", number, counts)
        shape = self._shape(abstract, level)
        if shape is None:
            return ""
        for deeper in [each for each in counts if each > level]:
            del counts[deeper]
        counts[level] = counts.get(level, _start(shape) - 1) + 1
        return self._text(abstract, level, shape, counts)

    def _text(self, abstract: str, level: int, shape: Any, counts: dict[int, int]) -> str:
        text = _attribute(shape, "w:lvlText") or ""
        if _attribute(shape, "w:numFmt") in ("bullet", "none"):
            return "" if "%" not in text else text
        for each in range(level + 1):
            form = self._shape(abstract, each)
            count = counts.get(each, _start(form))
            shown = _formatted(count, _attribute(form, "w:numFmt") or "decimal")
            text = text.replace(f"%{each + 1}", shown)
        return text + (" " if text and text[-1].isdecimal() else "")

    def _override(self, id: str, number: Any, counts: dict[int, int]) -> None:
        """Let a list begin anew where its instance says so, at its first paragraph."""
        if id in self._overridden:
            return
        self._overridden.add(id)
        for override in number.iter(qn("w:lvlOverride")):
            start = _attribute(override, "w:startOverride")
            if start:
                counts[int(override.get(qn("w:ilvl")))] = int(start) - 1

    def _shape(self, abstract: str, level: int) -> Any:
        element = self._abstract.get(abstract)
        found = () if element is None else element.findall(qn("w:lvl"))
        return next((lvl for lvl in found if lvl.get(qn("w:ilvl")) == str(level)), None)

    def _value(self, paragraph: Any, tag: str) -> str | None:
        """Return a property of a paragraph: its own, else that of its style or of what this is on."""
        properties = paragraph.find(qn("w:pPr"))
        style = None
        for _ in range(10):  # a style that is based on itself ends here
            if properties is not None:
                found = next(properties.iter(qn(tag)), None)
                if found is not None:
                    return str(found.get(qn("w:val")))
                style = _attribute(properties, "w:pStyle") or style
            element = self._styles.get(style) if style else None
            if element is None:
                return None
            properties, style = element.find(qn("w:pPr")), _attribute(element, "w:basedOn")
        return None


def _attribute(element: Any, tag: str) -> str | None:
    found = element.find(qn(tag)) if element is not None else None
    value = found.get(qn("w:val")) if found is not None else None
    return str(value) if value is not None else None


def _start(shape: Any) -> int:
    return int(_attribute(shape, "w:start") or 1)


def _formatted(count: int, form: str) -> str:
    """Return a count in the form that Word calls by this name; digits for those unknown here."""
    if form in ("chineseCounting", "chineseCountingThousand", "japaneseCounting"):
        return _chinese(count)
    if form in ("ideographDigital", "taiwaneseDigital", "japaneseDigitalTenThousand"):
        return "".join("〇一二三四五六七八九"[int(digit)] for digit in str(count))
    if form in ("upperLetter", "lowerLetter"):
        letter = chr(ord("A") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letter if form == "upperLetter" else letter.lower()
    if form in ("upperRoman", "lowerRoman"):
        roman = _roman(count)
        return roman if form == "upperRoman" else roman.lower()
    if form in ("decimalEnclosedCircle", "decimalEnclosedCircleChinese") and 1 <= count <= 20:
        return chr(ord("①") + count - 1)
    return str(count)


def _chinese(count: int) -> str:
    """Return a number from 1 to 99 in Chinese; larger ones in digits, as no list has so many."""
    if not 0 < count < 100:
        return str(count)
    tens, ones = divmod(count, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")


def _roman(count: int) -> str:
    text = ""
    for value, sign in (
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ):
        text += sign * (count // value)
        count %= value
    return text
