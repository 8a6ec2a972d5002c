"""What the script of the page fetches beside what Gradio serves, and how the server is."""

import json

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from index.errors import ReportError
from search.web.desk import Busy, Desk
from search.web.markup import note

_MIME = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "md": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
# These only put a question into the queue: what fails there is the question.
_CALLS = ("/gradio_api/call/", "/gradio_api/queue/join", "/gradio_api/cancel")


def routes(desk: Desk) -> FastAPI:
    """Return an application with these routes; the page is mounted on it."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> Response:
        try:
            return JSONResponse({"status": "ok", "reports": len(desk.opened().reports)})
        except ReportError as exc:
            return JSONResponse({"status": "not ready", "reason": str(exc)}, 503)

    @app.get("/report/{sha256}")
    def whole(sha256: str) -> Response:
        try:
            found = desk.report(sha256)
        except ReportError as exc:
            return HTMLResponse(note(str(exc)), 503)
        return HTMLResponse(found or note("这份报告已不在资料库里。"), 200 if found else 404)

    @app.post("/evidence/{format}")
    async def export(format: str, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_export, desk, format, body)

    return app


def malformed(request: Request, exc: Exception) -> Response:
    """Answer for Gradio what it could not read, or failed at."""
    if isinstance(exc, RequestValidationError) or request.url.path.startswith(_CALLS):
        told = "没有这个接口，或者参数不对：内容应当是一个 JSON 对象，写法见 /gradio_api/info。"
        return JSONResponse({"detail": told}, 400)
    return JSONResponse({"detail": "服务器出错了，请稍后再试。"}, 500)


def _export(desk: Desk, format: str, body: bytes) -> Response:
    if format not in _MIME:
        return PlainTextResponse("没有这种格式。", 404)
    try:
        chosen = json.loads(body)
    except (ValueError, RecursionError):
        return PlainTextResponse("收到的不是证据清单。", 400)
    try:
        return Response(desk.export(chosen, format), media_type=_MIME[format])  # type: ignore[arg-type]
    except ReportError as exc:
        return PlainTextResponse(str(exc), 503 if isinstance(exc, Busy) else 400)
