"""The page and its server: ask, read, check, keep evidence. The one door to gradio.

It puts what ``search`` returns on the page and decides nothing.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; no call home

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from gradio.events import api as endpoint

from index.changes import remove
from index.errors import ReportError
from index.library import add_many, default_folder, ensure_default, publish
from index.readers import SUFFIXES
from index.terminal import Parser
from index.types import Document
from search import evidence, records
from search.check import MAX_CHARACTERS as MAX_DRAFT
from search.check import checked
from search.compare import compared
from search.pipeline import Opened, answer, open_once
from search.query import MAX_CHARACTERS, check_top_k, normalise
from search.reading import reading
from search.scope import KINDS, Filters, check_filters
from search.web import SCRIPT, STYLE
from search.web.cards import cards, comparison
from search.web.drafts import draft
from search.web.markup import note
from search.web.report import report
from search.web.shelf import shelf

Made = TypeVar("Made")

PORT = 7860
TOP_K = 5
MAX_UPLOAD = "64mb"
FILTERS = ("报告", "地区", "年度", "性质")
EXAMPLES = (
    "行政复议受理了多少件？",
    "审批事项办理时限压缩到几个工作日？",
    "报告承认还存在哪些不足？",
    "2020年打算怎样加强事中事后监管？",
    "这份报告是谁签发的？",
)
_MIME = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "md": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_HEAD = (
    '<header class="yj-head"><h1>依据</h1>'
    "<p>用中文提问官方报告，得到回答问题的原文和可以引用的出处。</p></header>"
    '<div class="yj-status" role="status" aria-live="polite"></div>'
)
_HINT = (
    '<p class="yj">输入问题后按回车，这里会列出回答它的原文段落；旁边是报告全文。'
    "按 ↓ 到结果，按 / 回到问题。</p>"
)
_EVIDENCE = (
    '<section class="yj yj-evidence" aria-label="证据"><div class="yj-tools"><span class="yj-buttons">'
    + "".join(
        f'<button type="button" class="yj-export" data-format="{format}">导出 {name}</button>'
        for format, name in zip(evidence.FORMATS, ("Word", "Markdown", "表格", "JSON"), strict=True)
    )
    + '</span><button type="button" class="yj-empty">清空</button></div>'
    '<p class="yj-none">还没有证据。在卡片上点“加入证据”，选中的段落会收在这里，'
    "只存在这台电脑的浏览器里。</p><ol></ol></section>"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Asker:
    """What the page and the endpoints do, over one library, newest state."""

    library: Path | None

    def opened(self) -> Opened:
        """Return the library as it is now."""
        return open_once(self.library)

    def ask(self, question: str, *chosen: list[Any]) -> str:
        """Return the cards of a question."""

        def answered() -> str:
            opened = self.opened()
            filters = _filters(opened, *chosen)
            results = answer(normalise(question), opened, top_k=TOP_K, filters=filters)
            return cards(results, several=len(opened.reports) > 1)

        return _told(answered)

    def ask_each(self, question: str, *chosen: list[Any]) -> str:
        """Return what each report says as a table."""

        def answered() -> str:
            opened = self.opened()
            rows = compared(normalise(question), opened, _filters(opened, *chosen))
            return comparison(question, rows)

        return _told(answered)

    def check_draft(self, text: str, *chosen: list[Any]) -> str:
        """Return what became of the quotations of a draft."""

        def answered() -> str:
            opened = self.opened()
            return draft(checked(text, opened, _filters(opened, *chosen)))

        return _told(answered)

    def report(self, sha256: str) -> str | None:
        """Return the report whose hash begins so; None if there is none."""
        opened = self.opened()
        documents = (each.document for each in opened.reports)
        found = next(
            (d for d in documents if len(sha256) > 7 and d.sha256.startswith(sha256)), None
        )
        return report(found, reading(opened.library, found)) if found else None


def page(library: Path | None = None, *, change: bool = False) -> gr.Blocks:
    """Build the page over a library; with ``change`` reports can be added and removed on it.

    Raises ``ReportError`` if the library cannot be opened.
    """
    asker = Asker(library)
    first = asker.opened()
    blocks: gr.Blocks
    with gr.Blocks(title="依据：问官方报告") as blocks:
        gr.HTML(_HEAD)
        with gr.Tabs(elem_id="yj-tabs"):
            with gr.Tab("提问"):
                filters, outputs = _asking(asker, first)
            with gr.Tab("核对引文"):
                _checking(asker)
            with gr.Tab("证据") as kept:
                gr.HTML(_EVIDENCE)
            with gr.Tab("资料库"):
                shown = _keeping(asker, change=change)

        # what a tab holds is put on the page when it is first opened
        kept.select(None, js="() => setTimeout(() => yiju.ready(), 50)")

        def start(request: gr.Request) -> list[Any]:
            """Refresh what can be chosen, and answer the question of the address."""
            asked = str(request.query_params.get("q") or "")[: MAX_CHARACTERS + 1]
            view = asker.ask_each if request.query_params.get("v") == "compare" else asker.ask
            cards_now = [asked, view(asked)] if asked else [gr.skip()] * 2
            try:
                opened = asker.opened()
            except ReportError as exc:
                return [gr.skip(), note(str(exc)), *[gr.skip()] * (1 + len(FILTERS))]
            options = [gr.update(choices=each) for each in _choices(opened)]
            return [*cards_now, shelf(opened.library.entries(), change=change), *options]

        blocks.load(
            start,
            None,
            [*outputs, shown, *filters],
            show_progress="hidden",
            api_visibility="private",
        ).then(None, js="() => { yiju.ready(); yiju.asked(); }")
        _endpoints(asker)
    return blocks


def _asking(asker: Asker, first: Opened) -> tuple[list[gr.Dropdown], list[gr.components.Component]]:
    """Lay out the search box, the cards and the report; return the filters, and box and cards."""
    several = len(first.reports) > 1
    with gr.Row(equal_height=True):
        question = gr.Textbox(
            label="问题",
            show_label=False,
            container=False,
            placeholder="输入问题，例如：行政复议受理了多少件？",
            max_length=MAX_CHARACTERS,
            lines=1,
            scale=8,
            autofocus=True,
            elem_id="yj-question",
        )
        button = gr.Button("提问", variant="primary", scale=1, min_width=96)
        each = gr.Button("逐份对比", scale=1, min_width=96, visible=several)
    with gr.Row(elem_classes="yj-examples"):
        examples = [gr.Button(example, size="sm", min_width=1) for example in EXAMPLES]
    gr.HTML('<div class="yj-recent"></div>')
    with gr.Accordion("只查其中一部分", open=False, elem_id="yj-filters"), gr.Row():
        filters = [
            gr.Dropdown(options, label=label, multiselect=True, min_width=160, filterable=True)
            for label, options in zip(FILTERS, _choices(first), strict=True)
        ]
    with gr.Row(elem_classes="yj-columns"):
        with gr.Column(scale=1, min_width=300):
            found = gr.HTML(_HINT, elem_id="yj-results")
        with gr.Column(scale=1, min_width=300, elem_id="yj-report"):
            shown = first.reports[0].document if first.reports else None
            text = report(shown, reading(first.library, shown)) if shown else ""
            gr.HTML(f'<div class="yj-slot">{text}</div>')
    again, over = (
        gr.Button("再问", elem_id=id, elem_classes="yj-hidden")
        for id in ("yj-ask-again", "yj-compare-again")
    )
    inputs = [question, *filters]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown_now = "() => yiju.asked()"
    gr.on([button.click, question.submit], asker.ask, inputs, found, **quiet).then(
        None, js=shown_now
    )
    each.click(asker.ask_each, inputs, found, **quiet).then(None, js=shown_now)
    for hidden, act in ((again, asker.ask), (over, asker.ask_each)):

        def from_script(asked: str, *chosen: list[Any], act: Callable[..., str] = act) -> list[str]:
            return [asked, act(asked, *chosen)]

        hidden.click(
            from_script,
            inputs,
            [question, found],
            js="(_, ...chosen) => [yiju.again(), ...chosen]",
            **quiet,
        ).then(None, js=shown_now)
    for example, words in zip(examples, EXAMPLES, strict=True):
        example.click(None, js=f"() => yiju.ask({json.dumps(words)}, '')")
    return filters, [question, found]


def _checking(asker: Asker) -> None:
    text = gr.Textbox(
        label="草稿",
        placeholder="粘贴一句引文，或草稿的一页：引号里的话和数字会逐个与报告核对",
        lines=6,
        max_lines=16,
        max_length=MAX_DRAFT,
        elem_id="yj-draft-text",
    )
    button = gr.Button("核对", variant="primary")
    found = gr.HTML(elem_id="yj-draft")
    button.click(
        asker.check_draft, text, found, show_progress="minimal", api_visibility="private"
    ).then(None, js="() => yiju.styles()")


def _keeping(asker: Asker, *, change: bool) -> gr.HTML:
    """Lay out the list of reports, and with ``change`` what adds and removes them."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    if change:
        files = gr.UploadButton(
            f"添加报告（{'、'.join(SUFFIXES)}）",
            file_count="multiple",
            file_types=list(SUFFIXES),
            elem_id="yj-upload",
        )
        said = gr.HTML(elem_id="yj-added")
    shown = gr.HTML(elem_id="yj-shelf")
    if change:
        folder = asker.library or default_folder()

        def listed() -> str:
            return shelf(asker.opened().library.entries(), change=True)

        def added(paths: list[str] | None) -> Iterator[tuple[str, str]]:
            lines: list[str] = []
            try:
                for done in add_many([Path(path) for path in paths or ()], folder):
                    lines.append(
                        done.reason or f"{done.outcome}：{done.file.name}，{done.passages} 段"
                    )
                    told = f"{len(lines)} / {len(paths or ())}"
                    yield "".join(map(note, [told, *lines])), gr.skip()
                yield "".join(map(note, lines)), listed()
            except ReportError as exc:
                yield "".join(map(note, [*lines, str(exc)])), gr.skip()

        def removed(number: float) -> tuple[str, str]:
            try:
                document = remove(folder, int(number))
                publish(folder)
                return note(f"已移除：{document.title or document.name}"), listed()
            except ReportError as exc:
                return note(str(exc)), gr.skip()

        files.upload(added, files, [said, shown], concurrency_limit=1, **quiet)
        number = gr.Number(visible=False)
        hidden = gr.Button("移除", elem_id="yj-remove", elem_classes="yj-hidden")
        hidden.click(removed, number, [said, shown], js="() => yiju.removing", **quiet)
    return shown


def _endpoints(asker: Asker) -> None:
    """Name what programs may call: /search, /check, /compare; the same are the tools of MCP."""

    def search(
        question: str,
        top_k: int = TOP_K,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
        kinds: list[str] | None = None,
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            filters = _named(documents, regions, years, kinds)
            asked, limit = normalise(question), check_top_k(top_k)
            found = answer(asked, asker.opened(), top_k=limit, filters=filters)
            return records.of_results(found)

        return _or_error(act)

    def compare(
        question: str,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
        kinds: list[str] | None = None,
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            filters = _named(documents, regions, years, kinds)
            rows = compared(normalise(question), asker.opened(), filters)
            return {"rows": [records.of_row(row) for row in rows]}

        return _or_error(act)

    def check(
        text: str,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            filters = _named(documents, regions, years, None)
            return records.of_checked(checked(text, asker.opened(), filters))

        return _or_error(act)

    where = "documents、regions、years、kinds 只查这些报告、地区、年度、性质，不限时给 null。"
    endpoint(
        search,
        api_name="search",
        api_description=f"用中文问官方报告：返回回答问题的原文段落、答案和引文出处。question 是问题，top_k 是最多几段。{where}",
    )
    endpoint(
        compare,
        api_name="compare",
        api_description=f"用同一个问题问每一份报告：每份返回它的数值、原文和出处，没有说到的为空。{where}",
    )
    endpoint(
        check,
        api_name="check",
        api_description=f"核对草稿里的引文和数字与报告是否一致：text 是草稿。{where}",
    )


def _told(act: Callable[[], str]) -> str:
    """Return what is to be shown, or the sentence of a ``ReportError``."""
    try:
        return act()
    except ReportError as exc:
        return note(str(exc))


def _or_error(act: Callable[[], Made]) -> Made:
    """Return a record; a ``ReportError`` becomes the error of an endpoint."""
    try:
        return act()
    except ReportError as exc:
        raise gr.Error(str(exc), print_exception=False) from exc


def _named(documents: Any, regions: Any, years: Any, kinds: Any) -> Filters:
    """Return the filters of an endpoint; an empty list is none."""
    return check_filters(
        documents=documents or None,
        regions=regions or None,
        years=years or None,
        kinds=kinds or None,
    )


def _choices(opened: Opened) -> tuple[list[Any], ...]:
    """Return what can be chosen of each filter."""
    documents: list[Document] = [each.document for each in opened.reports]
    return (
        [(document.title or document.name, document.sha256) for document in documents],
        sorted({document.region for document in documents if document.region}),
        sorted({document.year for document in documents if document.year}, reverse=True),
        list(KINDS),
    )


def _filters(opened: Opened, *chosen: list[Any]) -> Filters:
    """Return the filters. Raises ``ReportError`` if a chosen report was removed meanwhile."""
    known = {each.document.sha256 for each in opened.reports}
    documents, regions, years, kinds = (list(values or ()) for values in chosen or ((),) * 4)
    if not known.issuperset(documents):
        raise ReportError("所选的报告已不在资料库里，请刷新网页后重新选择。")
    return _named(documents, regions, years, kinds)


def server(library: Path | None = None, *, change: bool = False, mcp: bool = False) -> FastAPI:
    """Return the page as an ASGI application, with the routes that its script calls."""
    asker = Asker(library)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> Response:
        try:
            return Response(json.dumps({"status": "ok", "reports": len(asker.opened().reports)}))
        except ReportError as exc:
            return PlainTextResponse(str(exc), 503)

    @app.get("/report/{sha256}")
    def whole(sha256: str) -> Response:
        try:
            found = asker.report(sha256)
        except ReportError as exc:
            return HTMLResponse(note(str(exc)), 503)
        return HTMLResponse(found or note("这份报告已不在资料库里。"), 200 if found else 404)

    @app.post("/evidence/{format}")
    async def export(format: str, request: Request) -> Response:
        if format not in evidence.FORMATS:
            return PlainTextResponse("没有这种格式。", 404)
        try:
            chosen = json.loads(await request.body())
            pack = evidence.collect(chosen, asker.opened(), made=datetime.now().astimezone())
            return Response(evidence.write(pack, format), media_type=_MIME[format])
        except (ReportError, ValueError, RecursionError) as exc:
            told = str(exc) if isinstance(exc, ReportError) else "收到的不是证据清单。"
            return PlainTextResponse(told, 400)

    blocks = page(library, change=change)
    blocks.queue(default_concurrency_limit=4)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        "/",
        run_history=False,
        footer_links=[],
        enable_monitoring=False,
        max_file_size=MAX_UPLOAD if change else 1,
        ssr_mode=False,
        mcp_server=mcp,
        theme=gr.themes.Base(
            font=["system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ).set(
            button_primary_background_fill="#1d4ed8", button_primary_background_fill_dark="#1d4ed8"
        ),
        # css= would put the dark rules out of reach
        head=f"<style>{STYLE.read_text('utf-8')}</style><script>{SCRIPT.read_text('utf-8')}</script>",
    )
    return mounted


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; return the exit code."""
    parser = Parser("python ui.py", "打开提问网页")
    parser.add_argument("--library", type=Path, metavar="文件夹", help="资料库的位置")
    parser.add_argument("--port", type=int, default=PORT, metavar="端口", help=f"默认 {PORT}")
    parser.add_argument("--model", metavar="模型", help="首次启动用哪个模型建默认资料库")
    parser.add_argument("--allow-upload", action="store_true", help="允许在网页上添加和移除报告")
    parser.add_argument("--mcp", action="store_true", help="同时用 MCP 提供检索、对比和核对")
    given = parser.parse_args(arguments)
    try:
        if not 0 < given.port < 65536:
            raise ReportError(f"端口应当在 1 到 65535 之间，收到的是 {given.port}，请换一个。")
        if given.mcp and importlib.util.find_spec("mcp") is None:
            raise ReportError("没有安装 MCP 的库，请先运行 pip install 'gradio[mcp]'，或不用 --mcp。")
        listening = _listen(given.port)
        print("正在打开资料库……", file=sys.stderr)
        if given.library is None:
            ensure_default(default_folder(), model=given.model)
        app = server(given.library, change=given.allow_upload, mcp=given.mcp)
    except ReportError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(f"请在浏览器打开 http://127.0.0.1:{given.port} ，按 Ctrl-C 结束。", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listening])
    return 0


def _listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine only. Raises ``ReportError`` if it cannot."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as exc:
        listening.close()
        raise ReportError(
            f"不能在端口 {port} 打开网页：端口已被占用，请用 --port 换一个。"
        ) from exc
    return listening


if __name__ == "__main__":
    raise SystemExit(main())
