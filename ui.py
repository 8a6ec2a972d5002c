"""The page and its server: ask, read, check, keep evidence. The one door to gradio.

It puts what ``search`` returns on the page and decides nothing.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; no call home

import gradio as gr
import uvicorn
from fastapi.exceptions import RequestValidationError
from gradio.events import api as endpoint

from index.columns import KINDS
from index.documents import MAX_BYTES
from index.errors import ReportError, reason
from index.library import (
    Location,
    add_many,
    default_location,
    ensure_default,
    locate,
    publish,
    remove,
)
from index.readers import SUFFIXES
from index.terminal import Parser, add_library
from index.types import Report
from search import evidence
from search.check import MAX_CHARACTERS as MAX_DRAFT
from search.pipeline import Opened
from search.query import MAX_CHARACTERS
from search.reading import reading
from search.records import Record
from search.web import SCRIPT, STYLE
from search.web.desk import TOP_K, Chosen, Desk
from search.web.gate import Gate, Login, host_name
from search.web.markup import note
from search.web.report import report
from search.web.routes import malformed, routes
from search.web.shelf import shelf

PORT = 7860
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FILTERS = ("报告", "地区", "年度", "性质")
EXAMPLES = (
    "行政复议受理了多少件？",
    "审批事项办理时限压缩到几个工作日？",
    "报告承认还存在哪些不足？",
    "2020年打算怎样加强事中事后监管？",
    "这份报告是谁签发的？",
)
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


class Page(gr.Blocks):
    """Blocks that do not write what was sent into the log when there is too little of it."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Raise the error of an endpoint where Gradio prints the inputs with a traceback."""
        if len(inputs) < len(block_fn.inputs):
            raise gr.Error("参数不够，请看 /gradio_api/info。", print_exception=False)


def page(desk: Desk, folder: Location | None = None) -> gr.Blocks:
    """Build the page; with the ``folder`` of its library reports can be added and removed on it.

    Raises ``ReportError`` if the library cannot be opened.
    """
    first = desk.opened()
    blocks: gr.Blocks
    with Page(title="依据：问官方报告") as blocks:
        gr.HTML(_HEAD)
        with gr.Tabs(elem_id="yj-tabs"):
            with gr.Tab("提问"):
                filters, outputs = _asking(desk, first)
            with gr.Tab("核对引文"):
                _checking(desk)
            with gr.Tab("证据") as kept:
                gr.HTML(_EVIDENCE)
            with gr.Tab("资料库"):
                shown = _keeping(desk, folder)

        # what a tab holds is put on the page when it is first opened
        kept.select(None, js="() => setTimeout(() => yiju.ready(), 50)")

        def start(request: gr.Request) -> list[Any]:
            """Refresh what can be chosen, and answer the question of the address."""
            asked = str(request.query_params.get("q") or "")[: MAX_CHARACTERS + 1]
            view = desk.ask_each if request.query_params.get("v") == "compare" else desk.ask
            cards_now = [asked, _told(view, asked)] if asked else [gr.skip()] * 2
            try:
                opened = desk.opened()
            except ReportError as exc:
                return [gr.skip(), note(str(exc)), *[gr.skip()] * (1 + len(FILTERS))]
            options = [gr.update(choices=each) for each in _choices(opened)]
            return [
                *cards_now,
                shelf(opened.library.entries(), change=folder is not None),
                *options,
            ]

        blocks.load(
            start,
            None,
            [*outputs, shown, *filters],
            show_progress="hidden",
            api_visibility="private",
        ).then(None, js="() => { yiju.ready(); yiju.asked(); }")
        _endpoints(desk)
    return blocks


def _asking(desk: Desk, first: Opened) -> tuple[list[gr.Dropdown], list[gr.components.Component]]:
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
        button = gr.Button("提问", variant="primary", scale=1, min_width=96, elem_id="yj-ask")
        each = gr.Button("逐份对比", scale=1, min_width=96, visible=several, elem_id="yj-each")
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
            shown = first.library.document(first.reports[0].id) if first.reports else None
            text = report(shown, reading(first.library, shown)) if shown else ""
            gr.HTML(f'<div class="yj-slot">{text}</div>')
    again, over = (
        gr.Button("再问", elem_id=id, elem_classes="yj-hidden")
        for id in ("yj-ask-again", "yj-compare-again")
    )
    inputs = [question, *filters]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown_now = "() => yiju.asked()"
    for trigger, script, act in (
        ([button.click, question.submit], again, desk.ask),
        ([each.click], over, desk.ask_each),
    ):

        def asked(
            question: str, *chosen: list[Any], act: Callable[[str, Chosen], str] = act
        ) -> list[str]:
            return [question, _told(act, question, chosen)]

        gr.on(trigger, asked, inputs, [question, found], **quiet).then(None, js=shown_now)
        from_script = "(_, ...chosen) => [yiju.again(), ...chosen]"
        script.click(asked, inputs, [question, found], js=from_script, **quiet).then(
            None, js=shown_now
        )
    for example, words in zip(examples, EXAMPLES, strict=True):
        example.click(None, js=f"() => yiju.ask({json.dumps(words)}, '')")
    return filters, [question, found]


def _checking(desk: Desk) -> None:
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
        lambda words: _told(desk.check, words),
        text,
        found,
        show_progress="minimal",
        api_visibility="private",
    ).then(None, js="() => yiju.styles()")


def _keeping(desk: Desk, folder: Location | None) -> gr.HTML:
    """Lay out the list of reports, and with its ``folder`` what adds and removes them."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    if folder:
        files = gr.UploadButton(
            f"添加报告（{'、'.join(SUFFIXES)}）",
            file_count="multiple",
            file_types=list(SUFFIXES),
            elem_id="yj-upload",
        )
        said = gr.HTML(elem_id="yj-added")
    shown = gr.HTML(elem_id="yj-shelf")
    if folder:

        def listed() -> str:
            return shelf(desk.opened().library.entries(), change=True)

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


def _endpoints(desk: Desk) -> None:
    """Name what programs may call: /search, /check, /compare; the same are the tools of MCP."""

    def search(
        question: str,
        top_k: int = TOP_K,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
        kinds: list[str] | None = None,
    ) -> dict[str, Any]:
        where = {"documents": documents, "regions": regions, "years": years, "kinds": kinds}
        return _or_error(desk.search_record, question, top_k, **where)

    def compare(
        question: str,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
        kinds: list[str] | None = None,
    ) -> dict[str, Any]:
        where = {"documents": documents, "regions": regions, "years": years, "kinds": kinds}
        return _or_error(desk.compare_record, question, **where)

    def check(
        text: str,
        documents: list[str] | None = None,
        regions: list[str] | None = None,
        years: list[int] | None = None,
    ) -> dict[str, Any]:
        where = {"documents": documents, "regions": regions, "years": years}
        return _or_error(desk.check_record, text, **where)

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


def _told(act: Callable[..., str], *given: Any) -> str:
    """Return what is to be shown, or the sentence of a ``ReportError``."""
    try:
        return act(*given)
    except ReportError as exc:
        return note(str(exc))


def _or_error(act: Callable[..., Record], *given: Any, **where: Any) -> Record:
    """Return a record; a ``ReportError`` becomes the error of an endpoint."""
    try:
        return act(*given, **where)
    except ReportError as exc:
        raise gr.Error(str(exc), print_exception=False) from exc


def _choices(opened: Opened) -> tuple[list[Any], ...]:
    """Return what can be chosen of each filter."""
    documents: list[Report] = [each.document for each in opened.reports]
    return (
        [(document.title or document.name, document.sha256) for document in documents],
        sorted({document.region for document in documents if document.region}),
        sorted({document.year for document in documents if document.year}, reverse=True),
        list(KINDS),
    )


def server(
    desk: Desk,
    folder: Location | None = None,
    *,
    hosts: Sequence[str],
    login: Login | None,
    mcp: bool,
) -> Gate:
    """Return the page as an ASGI application behind its gate."""
    blocks = page(desk, folder)
    blocks.queue(default_concurrency_limit=None)  # the desk lets a few in at a time
    app = gr.mount_gradio_app(
        routes(desk),
        blocks,
        "/",
        run_history=False,
        footer_links=[],
        enable_monitoring=False,
        max_file_size=MAX_BYTES if folder else 1,
        ssr_mode=False,
        mcp_server=mcp,
        app_kwargs={
            "openapi_url": None,
            "docs_url": None,
            "redoc_url": None,
            "exception_handlers": {RequestValidationError: malformed, Exception: malformed},
        },
        theme=gr.themes.Base(
            font=["system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ).set(
            button_primary_background_fill="#1d4ed8", button_primary_background_fill_dark="#1d4ed8"
        ),
        # css= would put the dark rules out of reach
        head=f"<style>{STYLE.read_text('utf-8')}</style><script>{SCRIPT.read_text('utf-8')}</script>",
    )
    return Gate(app, hosts=hosts, upload=folder is not None, mcp=mcp, login=login)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        hosts, login = _who(given)
        if given.mcp and importlib.util.find_spec("mcp") is None:
            raise ReportError(
                "没有安装 MCP 的库，请先运行 pip install 'gradio[mcp]'，或不用 --mcp。"
            )
        listening = _listen(given.host, given.port)
        print("正在打开资料库……", file=sys.stderr)
        if given.library is None:
            ensure_default(default_location(), model=given.model)
        library = locate(given.library or None)
        publish(library)  # while nobody reads: what a crash left unsealed is sealed here
        folder = library if given.allow_upload else None
        desk = Desk(given.library and library, log_questions=given.log_questions)
        app = server(desk, folder, hosts=hosts, login=login, mcp=given.mcp)
    except ReportError as exc:
        print(exc, file=sys.stderr)
        return 1
    shown = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    print(f"请在浏览器打开 http://{shown}:{given.port} ，按 Ctrl-C 结束。", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])
    return 0


def _parser() -> Parser:
    parser = Parser("python ui.py", "打开提问网页")
    add_library(parser)
    parser.add_argument("--port", type=int, default=PORT, metavar="端口", help=f"默认 {PORT}")
    parser.add_argument("--model", metavar="模型", help="首次启动用哪个模型建默认资料库")
    parser.add_argument("--allow-upload", action="store_true", help="允许在网页上添加和移除报告")
    parser.add_argument("--mcp", action="store_true", help="同时用 MCP 提供检索、对比和核对")
    parser.add_argument("--host", default=LOOPBACK[0], metavar="地址", help="默认只对本机开放")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="名字",
        help="网页以什么域名或地址打开；可多次给出",
    )
    parser.add_argument("--auth", metavar="用户名:密码文件", help="打开网页要用户名和密码")
    parser.add_argument("--no-auth", action="store_true", help="对外开放而不要密码")
    parser.add_argument("--log-questions", action="store_true", help="把问题的内容写进日志")
    return parser


def _who(given: argparse.Namespace) -> tuple[list[str], Login | None]:
    """Return the names that the page answers to, the one to show first, and who may open it.

    Raises ``ReportError`` if it would be open to other machines without that being said.
    """
    login = _login(given.auth) if given.auth else None
    for name in given.allow_host:
        if ":" in name or host_name(name) != name.lower():
            raise ReportError(f"--allow-host 应当只是域名或地址，不带端口，收到的是“{name}”。")
    if given.host in LOOPBACK and not given.allow_host:
        return [given.host, *(name for name in LOOPBACK if name != given.host)], login
    if login is None and not given.no_auth:
        raise ReportError(
            "网页要对别的机器开放，请用 --auth 用户名:密码文件 设密码，"
            "或用 --no-auth 说明不要密码。"
        )
    if not given.allow_host:
        raise ReportError("对别的机器开放时，请用 --allow-host 给出别人打开网页所用的域名或地址。")
    return [*given.allow_host, *LOOPBACK], login


def _login(words: str) -> Login:
    user, _, name = words.partition(":")
    if not user or not name:
        raise ReportError(f"--auth 应当写成 用户名:密码文件，收到的是“{words}”。")
    try:
        password = Path(name).read_text("utf-8").strip()
    except (OSError, ValueError) as exc:
        raise ReportError(f"读不到密码文件“{name}”：{reason(exc)}，请检查路径。") from exc
    if not password:
        raise ReportError(f"密码文件“{name}”是空的，请在里面写一行密码。")
    return Login(user, password)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket to listen on. Raises ``ReportError`` if it cannot be had."""
    if not 0 < port < 65536:
        raise ReportError(f"端口应当在 1 到 65535 之间，收到的是 {port}，请换一个。")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as exc:
        raise ReportError(
            f"不能在 {host} 的端口 {port} 打开网页：{reason(exc)}，请用 --port 或 --host 换一个。"
        ) from exc
    return listening


if __name__ == "__main__":
    raise SystemExit(main())
