"""Hits and comparisons as HTML."""

from collections import Counter
from collections.abc import Sequence

from index.types import Span
from search.citation import cite, path_text
from search.compare import Row, best_first
from search.figures import Amount, amounts
from search.types import Answer, Hit, Results
from search.web import markup
from search.web.markup import badge, escape, note


def cards(results: Results, *, several: bool = False) -> str:
    """Return the hits as HTML, below their notice where there is one.

    With ``several`` reports in the library each card is headed by its own.
    """
    said = note(results.notice) if results.notice else ""
    said += _answer(results.answer) if results.answer else ""
    bar = f'<div class="yj-tools"><span>{len(results)} 段</span>{markup.styles()}</div>'
    shown = (_card(rank, hit, several=several) for rank, hit in enumerate(results, 1))
    return (
        f'<section class="yj yj-found" aria-label="结果" data-question="{escape(results.query)}">'
        f"{said}{bar if results else ''}{''.join(shown)}</section>"
    )


def comparison(question: str, rows: Sequence[Row]) -> str:
    """Return what each report says as an HTML table, a dash where one does not say.

    Where numbers of one unit answer, they are drawn as bars above it.
    """
    said = sum(row.hit is not None for row in rows)
    body = "".join(map(_compared, best_first(rows)))
    head = "<thead><tr><th>报告</th><th>数值</th><th>原文与出处</th></tr></thead>"
    return (
        f'<section class="yj yj-found" aria-label="逐份对比" data-view="compare" data-question="{escape(question)}">'
        f'<p class="yj-note" role="status">{len(rows)} 份报告中有 {said} 份说到。</p>'
        f'{_plot(rows)}<div class="yj-tools">{markup.styles()}</div>'
        f'<table class="yj-compare">{head}<tbody>{body}</tbody></table></section>'
    )


def _answer(answer: Answer) -> str:
    """Return the words that answer, in large type, and where they stand."""
    return (
        f'<div class="yj-answer" role="status"><p>{escape(answer.text)}</p>'
        f"<cite>{escape(answer.hit.citation)}</cite></div>"
    )


def _card(rank: int, hit: Hit, *, several: bool) -> str:
    place = path_text(hit.section) or hit.passage.role
    page = f"<span>第 {hit.page} 页</span>" if hit.page else ""
    source = f'<div class="yj-from">{escape(markup.name(hit.document))}</div>' if several else ""
    return (
        f'<article class="yj-card" aria-label="第 {rank} 名" data-score="{hit.score:.3f}"{markup.jump(hit.passage)}>'
        f'<div class="yj-top"><span class="yj-rank">{rank}</span>{_relevance(hit.score)}{badge(hit.kind)}'
        f"<span>{escape(place)}</span>{page}<span>{markup.joined(hit.passage)}</span></div>{source}"
        f'<div class="yj-text">{markup.text_of(hit.passage, hit.marks)}</div>{_also(hit)}'
        f"{markup.citation(hit.passage)}</article>"
    )


def _relevance(score: float) -> str:
    told = f"相关度 {score:.2f}"
    return (
        f'<span class="yj-score" role="img" aria-label="{told}" title="{told}">'
        f'<i style="width:{score:.0%}"></i></span>'
    )


def _also(hit: Hit) -> str:
    """Return the other places that say the same."""
    if not hit.also:
        return ""
    places = "".join(f"<li>{escape(cite(passage))}</li>" for passage in hit.also)
    told = f"同样的话还见于 {len(hit.also)} 处"
    return f'<details class="yj-also"><summary>{told}</summary><ul>{places}</ul></details>'


def _compared(row: Row) -> str:
    name = escape(markup.name(row.document))
    if row.hit is None:
        return f"<tr><td>{name}</td><td>—</td><td>没有说到</td></tr>"
    hit = row.hit
    start, end = hit.marks[0]
    inner: list[Span] = [(row.figure[0] - start, row.figure[1] - start)] if row.figure else []
    text = markup.text_of(hit.passage, hit.marks)
    shown = text if hit.header else markup.marked(hit.text[start:end], inner)
    number = f'<span class="yj-number">{escape(row.number)}</span>' if row.number else "—"
    return (
        f'<tr class="yj-card" data-score="{hit.score:.3f}"{markup.jump(hit.passage)}><td>{name}</td>'
        f"<td>{number}</td><td>{badge(hit.kind)}"
        f'<div>{shown}</div><div class="yj-text" hidden>{text}</div>{markup.citation(hit.passage)}</td></tr>'
    )


def _plot(rows: Sequence[Row]) -> str:
    """Return the numbers of the commonest unit as bars, largest first; nothing for fewer than two."""
    told = [(row, amounts(row.number)[0]) for row in rows if row.number and amounts(row.number)]
    units = Counter(amount.unit for _, amount in told)
    if not units:
        return ""
    unit, count = units.most_common(1)[0]
    if count < 2:
        return ""
    drawn = [(row, amount) for row, amount in told if amount.unit == unit]
    most = max(amount.value for _, amount in drawn) or 1
    lines = [
        _line(row, amount, float(amount.value / most))
        for row, amount in sorted(drawn, key=lambda pair: -pair[1].value)
    ]
    left = f"，另有 {len(told) - count} 份的单位不同，没有画" if len(told) > count else ""
    named = f"单位：{unit}" if unit else "没有单位的数"
    caption = f"<figcaption>{escape(named)}，{count} 份{left}；虚线是计划</figcaption>"
    return f'<figure class="yj-plot">{caption}{"".join(lines)}</figure>'


def _line(row: Row, amount: Amount, share: float) -> str:
    assert row.hit
    name = row.document.region or markup.name(row.document)
    label = f"{name} {row.document.year}" if row.document.region and row.document.year else name
    return (
        f"<div><span>{escape(label)}</span>"
        f'<span class="yj-long"><i class="{row.hit.kind}" style="width:{share:.1%}"></i></span>'
        f"<b>{escape(amount.text)}</b></div>"
    )
