"""The page: ask a question, read the passages that answer it in their place, copy the citation.

It formats what ``search`` returns and decides nothing. The one door to gradio.
"""

import contextlib
import html
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; no call home

import itertools

import gradio as gr

from index.errors import ReportError
from index.library import default_folder, ensure_default
from index.tables import labelled
from index.terminal import Parser
from index.types import Document, Passage, Span
from search.citation import cite, path_text
from search.compare import Row, best_first, compared
from search.pipeline import Opened, answer, open_once
from search.query import MAX_CHARACTERS, normalise
from search.reading import reading
from search.scope import KINDS, Filters, check_filters
from search.types import Answer, Hit, Results

PORT = 7860
TOP_K = 5
FILTERS = ("报告", "地区", "年度", "性质")
EXAMPLES = (
    "行政复议受理了多少件？",
    "审批事项办理时限压缩到几个工作日？",
    "报告承认还存在哪些不足？",
    "2020年打算怎样加强事中事后监管？",
    "这份报告是谁签发的？",
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

CSS = """
.gradio-container { max-width: 1400px !important; margin: 0 auto !important;
  overflow: visible !important; }
.gradio-container .html-container { padding: 0 !important; }
.gradio-container .yj-head h1 { margin: 0; font-size: 1.6rem; }
.yj, .yj-head { --faint: #57534e; } .dark .yj, .dark .yj-head { --faint: #a8a29e; }
.gradio-container .yj-head p { margin: .2rem 0 0; color: var(--faint) !important; }
.yj-examples { gap: .4rem !important; } .yj-examples button { flex: none !important; }
.yj-note { margin: 0 0 .8rem; padding: .7rem 1rem; border-left: 4px solid #b45309;
  background: var(--background-fill-secondary); }
.yj-answer { margin: 0 0 1rem; padding: 0 1rem; border-left: 4px solid #1d4ed8; }
.gradio-container .yj-answer p { margin: 0; font-size: 1.5rem; line-height: 1.5; font-weight: 600;
  overflow-wrap: anywhere; }
.yj-answer cite { font-style: normal; font-size: .85rem; color: var(--faint); }
.yj-card { margin: 0 0 .8rem; padding: .9rem 1rem; cursor: pointer; border-radius: 8px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary); }
.yj-card.chosen { border-color: #1d4ed8; box-shadow: 0 0 0 1px #1d4ed8; }
.yj-card:focus-visible, .yj button:focus-visible { outline: 3px solid #1d4ed8; }
.yj-top { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; font-size: .85rem;
  color: var(--faint); }
.yj-rank { font-weight: 700; font-size: 1rem; color: var(--body-text-color); }
.yj-kind { padding: 0 .5em; border-radius: 4px; border: 1px solid currentColor; white-space: nowrap; }
.yj-kind.已完成 { color: #166534; } .dark .yj-kind.已完成 { color: #86efac; }
.yj-kind.计划 { color: #92400e; border-style: dashed; } .dark .yj-kind.计划 { color: #fcd34d; }
.yj-kind.不足 { color: #b91c1c; } .dark .yj-kind.不足 { color: #fca5a5; }
.yj-kind.履职 { color: #1e40af; } .dark .yj-kind.履职 { color: #93c5fd; }
.yj-text { margin: .5rem 0; line-height: 1.8; overflow-wrap: anywhere; white-space: pre-wrap; }
.yj mark { background: #fef3c7; color: #1c1917 !important; }
.yj mark b { background: #fcd34d; color: #1c1917 !important; font-weight: 600; }
.yj-cite { display: flex; gap: .6rem; align-items: flex-start; padding-top: .5rem;
  border-top: 1px solid var(--border-color-primary); font-size: .85rem; }
.yj-cite cite { flex: 1; font-style: normal; overflow-wrap: anywhere; }
.gradio-container .yj-cite button { flex: none; padding: .15rem .7rem; font-size: .85rem; font-weight: 400; border: 1px solid var(--border-color-primary);
  border-radius: 4px; background: var(--background-fill-secondary); cursor: pointer; }
.yj-from { margin-top: .3rem; font-size: .9rem; font-weight: 600; overflow-wrap: anywhere; }
.yj-also { font-size: .85rem; color: var(--faint); } .yj-also summary { cursor: pointer; }
.yj-also ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.yj-row { display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: 0 1rem; margin: 0;
  white-space: normal; } .yj-row dt { color: var(--faint); } .yj-row dd { margin: 0; }
.gradio-container .yj-compare, .gradio-container .yj-compare :is(tr, th, td) { border: 0 !important; }
.gradio-container .yj-compare { width: 100%; border-collapse: collapse; }
.gradio-container .yj-compare :is(th, td) { padding: .5rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--border-color-primary) !important; overflow-wrap: anywhere; }
.yj-compare th { font-size: .85rem; font-weight: 600; color: var(--faint); }
.gradio-container .yj-compare td:first-child { min-width: 9em; }
.yj-compare tr.yj-card { display: table-row; box-shadow: none; } .yj-compare .yj-text { margin: 0; }
.yj-compare .yj-number { font-weight: 700; white-space: nowrap; }
.yj-compare .chosen td:first-child { box-shadow: inset 3px 0 #1d4ed8; }
.yj-hidden { position: absolute !important; left: -10000px; width: 1px; }
.yj-pane { max-height: calc(100vh - 2rem); overflow-y: auto; padding: 0 1rem; border-radius: 8px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary); }
.gradio-container .yj-report h2 { font-size: 1.15rem; }
.gradio-container .yj-report :is(h3, h4, h5, h6) { font-size: 1.05rem; }
.yj-report p { display: grid; grid-template-columns: 2.2rem 1fr; line-height: 1.8; margin: .5rem 0;
  scroll-margin: 1rem; overflow-wrap: anywhere; white-space: pre-wrap; border-radius: 4px; }
.yj-report p > i { font-style: normal; font-size: .75rem; color: var(--faint) !important; }
.yj-report p.chosen { background: #eff6ff; box-shadow: 0 0 0 4px #eff6ff; }
.dark .yj-report p.chosen { background: #1e293b; box-shadow: 0 0 0 4px #1e293b; }
@media (min-width: 900px) { #yj-report { position: sticky; top: 1rem; } }
@media (max-width: 899px) {
  .yj-compare :is(thead) { display: none; }
  .gradio-container .yj-compare :is(tr, tr.yj-card, td) { display: block; border: 0 !important; padding: .15rem .5rem; }
  .gradio-container .yj-compare tr { padding: .6rem 0; border-bottom: 1px solid var(--border-color-primary) !important; }
  .yj-columns { flex-direction: column !important; }
  .yj-pane { max-height: 80vh; } }
"""

SCRIPT = """
<script>
document.documentElement.lang = "zh-CN";
const yiju = {
  // Take back what choose() marked.
  clear() {
    const all = (selector) => document.querySelectorAll(selector);
    all(".yj-card.chosen").forEach((card) => {
      card.classList.remove("chosen"); card.setAttribute("aria-pressed", "false"); });
    all(".yj-report p.chosen").forEach((passage) => {
      passage.classList.remove("chosen");
      passage.lastElementChild.textContent = passage.dataset.text; });
  },
  // Show the report of a card, mark its passage there and scroll the pane to it.
  choose(card, byUser) {
    yiju.clear();
    card.classList.add("chosen"); card.setAttribute("aria-pressed", "true");
    document.querySelectorAll(".yj-report").forEach((report) => {
      report.hidden = report.dataset.document !== card.dataset.document; });
    const report = document.querySelector(".yj-report:not([hidden])");
    if (!report) return yiju.fetch(card, byUser);
    const passage = report.querySelector(`p[data-number="${card.dataset.number}"]`);
    if (!passage) return;
    passage.classList.add("chosen");
    passage.dataset.text = passage.lastElementChild.textContent;
    passage.lastElementChild.innerHTML = card.querySelector(".yj-text").innerHTML;
    const pane = passage.closest(".yj-pane"), still = matchMedia("(max-width: 899px)").matches;
    pane.scrollTop += passage.getBoundingClientRect().top - pane.getBoundingClientRect().top - 16;
    if (byUser && still) pane.scrollIntoView({ block: "start" });
  },
  // Ask the server for a report that is not on the page yet; chosen() goes on when it is.
  fetch(card, byUser) {
    yiju.waiting = [card, byUser];
    document.querySelector("#yj-load").click();  // its event sends wanted()
  },
  wanted() { return yiju.waiting[0].dataset.document; },
  chosen() {
    const [card, byUser] = yiju.waiting || []; yiju.waiting = null;
    if (card?.isConnected) yiju.choose(card, byUser);
  },
  first() {
    const card = document.querySelector(".yj-card");
    if (card) yiju.choose(card, false); else yiju.clear();
  },
  async copy(button) {
    const text = button.closest(".yj-cite").querySelector("cite").textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");  // no clipboard outside https and localhost
      area.value = text; document.body.append(area); area.select();
      document.execCommand("copy"); area.remove();
    }
    button.textContent = "已复制"; setTimeout(() => { button.textContent = "复制引文"; }, 1500);
  },
};
document.addEventListener("click", (event) => {
  const button = event.target.closest(".yj-copy");
  if (button) return yiju.copy(button);
  if (event.target.closest(".yj-also")) return;
  const card = event.target.closest(".yj-card");
  if (card && !String(getSelection())) yiju.choose(card, true);
});
// Enter that confirms a pinyin candidate is not a question.
["keydown", "keypress"].forEach((kind) => document.addEventListener(kind, (event) => {
  if (event.isComposing || event.keyCode === 229) event.stopImmediatePropagation();
}, true));
document.addEventListener("keydown", (event) => {
  if (event.target.matches?.(".yj-card") && ["Enter", " "].includes(event.key)) {
    event.preventDefault(); yiju.choose(event.target, true);
  }
});
</script>
"""


def page(library: Path | None = None) -> gr.Blocks:
    """Build the page over a library. Raises ``ReportError`` if it cannot be opened."""
    first = open_once(library)

    def ask(question: str, *chosen: list[Any]) -> tuple[str, str]:
        try:
            opened = open_once(library)
            filters = _filters(opened, *chosen)
            results = answer(normalise(question), opened, top_k=TOP_K, filters=filters)
            report = reports(opened, results[0].document) if results else gr.skip()
        except ReportError as exc:
            return _note(str(exc)), gr.skip()
        return cards(results, several=len(opened.reports) > 1), report

    def compare(question: str, *chosen: list[Any]) -> tuple[str, str]:
        try:
            opened = open_once(library)
            rows = compared(normalise(question), opened, _filters(opened, *chosen))
            said = next((row.document for row in best_first(rows) if row.hit), None)
            report = reports(opened, said) if said else gr.skip()
        except ReportError as exc:
            return _note(str(exc)), gr.skip()
        return comparison(rows), report

    def show(sha256: str) -> str:
        try:
            opened = open_once(library)
            documents = (report.document for report in opened.reports)
            found = next((each for each in documents if each.sha256 == sha256), None)
            return reports(opened, found) if found else _note("这份报告已不在资料库里。")
        except ReportError as exc:
            return _note(str(exc))

    def choices() -> list[Any]:
        try:
            return [gr.update(choices=options) for options in _choices(open_once(library))]
        except ReportError:  # told when a question is asked
            return [gr.skip()] * len(FILTERS)

    blocks: gr.Blocks
    with gr.Blocks(title="依据：问官方报告") as blocks:
        gr.HTML(
            '<header class="yj-head"><h1>依据</h1>'
            "<p>用中文提问官方报告，得到回答问题的原文和可以引用的出处。</p></header>"
        )
        with gr.Row(equal_height=True):
            question = gr.Textbox(
                label="问题",
                placeholder="输入问题",
                max_length=MAX_CHARACTERS,
                lines=1,
                scale=8,
                autofocus=True,
                elem_id="yj-question",
            )
            button = gr.Button("提问", variant="primary", scale=1, min_width=96)
            each = gr.Button("逐份对比", scale=1, min_width=96, visible=len(first.reports) > 1)
        with gr.Row(elem_classes="yj-examples"):
            examples = [gr.Button(example, size="sm", min_width=1) for example in EXAMPLES]
        with gr.Accordion("只查其中一部分", open=False, elem_id="yj-filters"), gr.Row():
            filters = [
                gr.Dropdown(options, label=label, multiselect=True, min_width=160, filterable=True)
                for label, options in zip(FILTERS, _choices(first), strict=True)
            ]
        with gr.Row(elem_classes="yj-columns"):
            with gr.Column(scale=1, min_width=300):
                found = gr.HTML(_hint(), elem_id="yj-results")
            with gr.Column(scale=1, min_width=300, elem_id="yj-report"):
                report = gr.HTML(reports(first, first.reports[0].document) if first.reports else "")
        wanted, load = (
            gr.Textbox(visible=False),
            gr.Button(elem_id="yj-load", elem_classes="yj-hidden"),
        )
        inputs, outputs = [question, *filters], [found, report]
        gr.on(
            [button.click, question.submit],
            ask,
            inputs,
            outputs,
            show_progress="hidden",
            api_name="search",
        ).then(None, js="() => yiju.first()")
        each.click(compare, inputs, outputs, show_progress="hidden", api_name="compare").then(
            None, js="() => yiju.first()"
        )
        load.click(
            show,
            wanted,
            report,
            js="() => yiju.wanted()",
            show_progress="hidden",
            api_visibility="private",
        ).then(None, js="() => yiju.chosen()")
        for example in examples:
            filled = example.click(str, example, question, queue=False, api_visibility="private")
            filled.then(
                ask, inputs, outputs, show_progress="hidden", api_visibility="private"
            ).then(None, js="() => yiju.first()")
        blocks.load(choices, None, filters, show_progress="hidden", api_visibility="private")
    return blocks


def _choices(opened: Opened) -> tuple[list[Any], ...]:
    """Return what can be chosen of each filter."""
    documents = [report.document for report in opened.reports]
    return (
        [(document.title or document.name, document.sha256) for document in documents],
        sorted({document.region for document in documents if document.region}),
        sorted({document.year for document in documents if document.year}, reverse=True),
        list(KINDS),
    )


def _filters(opened: Opened, *chosen: list[Any]) -> Filters:
    """Return the filters. Raises ``ReportError`` if a chosen report was removed meanwhile."""
    known = {report.document.sha256 for report in opened.reports}
    documents, regions, years, kinds = (list(values or ()) for values in chosen or ((),) * 4)
    if not known.issuperset(documents):
        raise ReportError("所选的报告已不在资料库里，请刷新网页后重新选择。")
    return check_filters(
        documents=documents or None,
        regions=regions or None,
        years=years or None,
        kinds=kinds or None,
    )


def cards(results: Results, *, several: bool = False) -> str:
    """Return the hits as HTML, or a plain sentence that nothing was found and the nearest.

    With ``several`` reports in the library each card is headed by its own.
    """
    nearest = "以下段落仅供参考，不能作为依据。" if results else ""
    note = "" if results.found else _note(f"报告中没有找到依据。{nearest}")
    said = _answer(results.answer) if results.answer else ""
    shown = (_card(rank, hit, several=several) for rank, hit in enumerate(results, 1))
    return f'<div class="yj">{note}{said}{"".join(shown)}</div>'


def _answer(answer: Answer) -> str:
    """Return the words that answer, in large type, and where they stand."""
    return (
        f'<div class="yj-answer"><p>{_escape(answer.text)}</p>'
        f"<cite>{_escape(answer.hit.citation)}</cite></div>"
    )


def comparison(rows: Sequence[Row]) -> str:
    """Return what each report says as an HTML table, a dash where one does not say."""
    said = sum(row.hit is not None for row in rows)
    body = "".join(map(_compared, best_first(rows)))
    return (
        f'<div class="yj"><p class="yj-note" role="status">{len(rows)} 份报告中有 {said} 份说到。</p>'
        '<table class="yj-compare"><thead><tr><th>报告</th><th>数值</th><th>原文与出处</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def reports(opened: Opened, document: Document) -> str:
    """Return a whole report as HTML."""
    body = _report(opened, document)
    return f'<div class="yj yj-pane" tabindex="0" role="region" aria-label="报告全文">{body}</div>'


def marked(text: str, marks: Sequence[Span]) -> str:
    """Return text as HTML with its spans marked, what lies in two of them stronger."""
    cuts = sorted({0, len(text), *(place for span in marks for place in span)})
    pieces = []
    for start, end in itertools.pairwise(cuts):
        piece = _escape(text[start:end])
        depth = sum(a <= start and end <= b for a, b in marks)
        if depth:
            piece = f"<mark>{f'<b>{piece}</b>' if depth > 1 else piece}</mark>"
        pieces.append(piece)
    return "".join(pieces)


def _card(rank: int, hit: Hit, *, several: bool) -> str:
    place = path_text(hit.section) or hit.passage.role
    joined = "逐字" if hit.verbatim else "分行拼接"
    source = f'<div class="yj-from">{_escape(_name(hit.document))}</div>' if several else ""
    return (
        f'<article class="yj-card" tabindex="0" role="button" aria-pressed="false"{_jump(hit)}>'
        f'<div class="yj-top"><span class="yj-rank">{rank}</span>'
        f'<span class="yj-kind {hit.kind}">{hit.kind}</span><span>{_escape(place)}</span>'
        f"<span>{joined}</span><span>相关度 {hit.score:.2f}</span></div>{source}"
        f'<div class="yj-text">{_text(hit)}</div>{_also(hit)}{_cite(hit)}</article>'
    )


def _compared(row: Row) -> str:
    name = _escape(_name(row.document))
    if row.hit is None:
        return f"<tr><td>{name}</td><td>—</td><td>没有说到</td></tr>"
    start, end = row.hit.marks[0]
    inner = [(row.figure[0] - start, row.figure[1] - start)] if row.figure else []
    shown = _text(row.hit) if row.hit.header else marked(row.hit.text[start:end], inner)
    number = f'<span class="yj-number">{_escape(row.number)}</span>' if row.number else "—"
    return (
        f'<tr class="yj-card" tabindex="0" aria-pressed="false"{_jump(row.hit)}><td>{name}</td>'
        f'<td>{number}</td><td><span class="yj-kind {row.hit.kind}">{row.hit.kind}</span>'
        f'<div>{shown}</div><div class="yj-text" hidden>{_text(row.hit)}</div>{_cite(row.hit)}</td></tr>'
    )


def _jump(hit: Hit) -> str:
    return f' data-document="{hit.document.sha256}" data-number="{hit.paragraph}"'


def _name(document: Document) -> str:
    title = document.title or document.name
    issuer = document.issuer or ""
    return title if title.startswith(issuer) else f"{issuer}《{title}》"


def _text(hit: Hit) -> str:
    """Return a passage as HTML: marked text, or the cells of a row with what they stand under."""
    if not hit.header:
        return marked(hit.text, hit.marks)
    cells = "".join(
        f"<dt>{_escape(cell.under)}</dt><dd>{_escape(cell.text)}</dd>"
        for cell in labelled(hit.passage)
    )
    unit = "".join(_escape(line) for line in hit.header if not line.startswith("|"))
    return f'{unit}<dl class="yj-row">{cells}</dl>'


def _also(hit: Hit) -> str:
    """Return the other places that say the same."""
    if not hit.also:
        return ""
    places = "".join(f"<li>{_escape(cite(passage))}</li>" for passage in hit.also)
    return f'<details class="yj-also"><summary>同样的话还见于 {len(hit.also)} 处</summary><ul>{places}</ul></details>'


def _cite(hit: Hit) -> str:
    return (
        f'<div class="yj-cite"><cite>{_escape(hit.citation)}</cite>'
        '<button type="button" class="yj-copy">复制引文</button></div>'
    )


def _report(opened: Opened, document: Document) -> str:
    lines = [f'<div class="yj-report" data-document="{document.sha256}">']
    for part in reading(opened, document):
        if isinstance(part, Passage):
            lines.append(
                f'<p data-number="{part.number}"><i>{part.number}</i>'
                f"<span>{_escape(part.text)}</span></p>"
            )
        else:
            level = min(part.level + 1, 6)
            lines.append(f"<h{level}>{_escape(part.path[-1])}</h{level}>")
    return "".join(lines) + "</div>"


def _note(sentence: str) -> str:
    return f'<p class="yj-note" role="status">{_escape(sentence)}</p>'


def _hint() -> str:
    return '<p class="yj">输入问题后按回车，这里会列出回答它的原文段落；旁边是报告全文。</p>'


def _escape(text: str) -> str:
    """Escape for HTML; characters that turn the direction of writing are dropped for display."""
    return html.escape(_BIDI.sub("", text), quote=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; return the exit code."""
    parser = Parser("python ui.py", "打开提问网页")
    parser.add_argument("--library", type=Path, metavar="文件夹", help="资料库的位置")
    parser.add_argument("--port", type=int, default=PORT, metavar="端口", help=f"默认 {PORT}")
    parser.add_argument("--model", metavar="模型", help="首次启动用哪个模型建默认资料库")
    given = parser.parse_args(arguments)
    try:
        if not 0 < given.port < 65536:
            raise ReportError(f"端口应当在 1 到 65535 之间，收到的是 {given.port}，请换一个。")
        print("正在打开资料库……", file=sys.stderr)
        if given.library is None:
            ensure_default(default_folder(), model=given.model)
        blocks = page(given.library)
        blocks.queue(default_concurrency_limit=4)
        blocks.launch(
            server_name="127.0.0.1",
            server_port=given.port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            run_history=False,
            footer_links=[],
            enable_monitoring=False,
            max_file_size=1,
            ssr_mode=False,
            theme=gr.themes.Base(
                font=[
                    "system-ui",
                    "PingFang SC",
                    "Microsoft YaHei",
                    "Noto Sans CJK SC",
                    "sans-serif",
                ],
                font_mono=["ui-monospace", "monospace"],
            ),
            head=f"<style>{CSS}</style>{SCRIPT}",  # css= would put the dark rules out of reach
        )
    except ReportError as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError:
        print(
            f"不能在端口 {given.port} 打开网页：端口已被占用，请用 --port 换一个。", file=sys.stderr
        )
        return 1
    print(f"请在浏览器打开 http://127.0.0.1:{given.port} ，按 Ctrl-C 结束。", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    blocks.close(verbose=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
