"""A checked draft as HTML."""

from index.types import Passage
from search.check import Checked, Number, Piece, Quotation, Told
from search.citation import cite
from search.web import markup
from search.web.markup import escape, note

_SIGNS = {
    "逐字一致": "same",
    "一致": "same",
    "仅空格标点或跨页差异": "same",
    "文字有出入": "other",
    "说法有出入": "other",
    "见于别处": "other",
    "未找到": "gone",
}


def draft(checked: Checked) -> str:
    """Return what became of each quotation and number, in the order of the draft."""
    both: list[Quotation | Number] = [*checked.quotations, *checked.numbers]
    found = sorted(both, key=lambda each: each.start)
    if not found:
        return note("没有可以核对的引文或数字：请把引用的话放在引号里，或单独粘贴一句。")
    right = sum(_SIGNS[each.verdict] == "same" for each in found)
    told = (
        f"引文 {len(checked.quotations)} 处，数字 {len(checked.numbers)} 个；"
        f"{right} 处与报告一致，{len(found) - right} 处需要看一看。"
    )
    lines = [_quotation(e) if isinstance(e, Quotation) else _number(e) for e in found]
    tools = f'<div class="yj-tools">{markup.styles()}</div>'
    return f'<section class="yj yj-found" aria-label="核对结果">{note(told)}{tools}{"".join(lines)}</section>'


def _quotation(found: Quotation) -> str:
    place = found.place
    shown = _pieces(found.pieces) if found.verdict == "文字有出入" else escape(found.text)
    passage = place.passages[0] if place and place.passages else None
    where = ""
    if place and not passage:
        where = f'<p class="yj-told">《{escape(place.document.title or place.document.name)}》的标题</p>'
    return _entry("引文", found.verdict, f'<div class="yj-text">{shown}</div>{where}', passage)


def _pieces(pieces: tuple[Piece, ...]) -> str:
    """Return a quotation with what it adds struck out and what it leaves out put in."""
    tags = {"同": "{}", "多": "<del>{}</del>", "缺": "<ins>{}</ins>"}
    return "".join(tags[piece.kind].format(escape(piece.text)) for piece in pieces)


def _number(found: Number) -> str:
    told, elsewhere = found.told, found.elsewhere
    lines = [f'<div class="yj-text">{escape(found.text)}</div>']
    if found.verdict == "未找到" and told:
        lines.append(_told("报告里没有这个数，最接近的是", told))
    elif found.verdict == "说法有出入" and told:
        lines.append(_told("报告的原话是", told))
    elif elsewhere:
        lines.append(_told("报告里说的是别的事：", elsewhere))
        lines += [_told("这里报告写的是", told)] if told else []
    passage = told.passage if told else elsewhere.passage if elsewhere else None
    return _entry("数字", found.verdict, "".join(lines), passage)


def _told(words: str, told: Told) -> str:
    return (
        f'<p class="yj-told">{words}“{escape(told.amount.text)}”'
        f"（{escape(cite(told.passage))}）</p>"
    )


def _entry(what: str, verdict: str, body: str, passage: Passage | None) -> str:
    jump = markup.jump(passage) if passage else ""
    cited = markup.citation(passage) if passage else ""
    text = f'<div class="yj-text" hidden>{escape(passage.text)}</div>' if passage else ""
    return (
        f'<article class="yj-card yj-checked" aria-label="{what}：{verdict}"{jump}><div class="yj-top">'
        f'<span>{what}</span><span class="yj-verdict {_SIGNS[verdict]}">{verdict}</span></div>'
        f"{body}{text}{cited}</article>"
    )
