"""Word documents and PDFs made for tests, a line of code each."""

import zipfile
from collections.abc import Sequence
from io import BytesIO

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

Placed = tuple[float, float, str]
"""A line of a page: points from the left and from the top, and its text at 12 points."""


def word(build: object = None) -> bytes:
    """Return a Word document that ``build`` fills."""
    document = docx.Document()
    if callable(build):
        build(document)
    data = BytesIO()
    document.save(data)
    return data.getvalue()


def with_body(document: str | bytes) -> bytes:
    """A Word document with these bytes for its main part."""
    data = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(word())) as whole,
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for member in whole.namelist():
            own = member == "word/document.xml"
            made.writestr(member, document if own else whole.read(member))
    return data.getvalue()


def numbered(document: object, levels: Sequence[tuple[str, str]]) -> int:
    """Define a list whose levels have these (number format, text of the number); return its id."""
    part = document.part.numbering_part.element  # type: ignore[attr-defined]
    shapes = "".join(
        f'<w:lvl w:ilvl="{i}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for i, (form, text) in enumerate(levels)
    )
    xml = f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{shapes}</w:abstractNum>'
    part.insert(0, parse_xml(xml))
    part.append(
        parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>')
    )
    return 77


def item(document: object, text: str, level: int, list_id: int = 77) -> None:
    """Add a paragraph that Word numbers."""
    paragraph = document.add_paragraph(text)  # type: ignore[attr-defined]
    properties = paragraph._p.get_or_add_pPr()
    properties.append(
        parse_xml(
            f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>'
        )
    )


def printed(
    pages: Sequence[Sequence[Placed]],
    *,
    rules: Sequence[Sequence[tuple[float, float, float, float]]] = (),
    encrypted: bool = False,
) -> bytes:
    """Return a PDF of A4 pages with lines of text, and rules (x0, top, x1, bottom) on each."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", ""]
    font = (
        "<</Type/Font/Subtype/Type0/BaseFont/SimSun/Encoding/UniGB-UCS2-H/DescendantFonts"
        "[<</Type/Font/Subtype/CIDFontType0/BaseFont/SimSun/CIDSystemInfo"
        "<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/DW 1000/FontDescriptor"
        "<</Type/FontDescriptor/FontName/SimSun/Flags 4/FontBBox[0 -120 1000 880]/Ascent 880/Descent -120>>>>]>>"
    )
    kids = []
    for i, lines in enumerate(pages):
        drawn = "".join(
            f"BT /F 12 Tf 1 0 0 1 {x} {842 - y} Tm <{text.encode('utf-16-be').hex()}> Tj ET\n"
            for x, y, text in lines
        )
        for x0, top, x1, bottom in rules[i] if i < len(rules) else ():
            drawn += f"{x0} {842 - top} m {x1} {842 - bottom} l S\n"
        objects.append(f"<</Length {len(drawn)}>>\nstream\n{drawn}endstream")
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {len(objects)} 0 R"
            f"/Resources<</Font<</F {font}>>>>>>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(kids)}>>"
    data, places = b"%PDF-1.4\n", []
    for i, content in enumerate(objects, 1):
        places.append(len(data))
        data += f"{i} 0 obj\n{content}\nendobj\n".encode("latin-1")
    start = len(data)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    lock = f"/Encrypt<</Filter/Standard/V 1/R 2/O<{'41' * 32}>/U<{'42' * 32}>/P -4>>/ID[<41><41>]"
    data += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer<</Size {len(objects) + 1}/Root 1 0 R{lock if encrypted else ''}>>\n"
        f"startxref\n{start}\n%%EOF"
    ).encode()
    return data


def grid(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Return the rules of a table with these columns and rows."""
    across = [(xs[0], y, xs[-1], y) for y in ys]
    return across + [(x, ys[0], x, ys[-1]) for x in xs]
