"""What the script of the page fetches beside what Gradio serves, and how the server is."""

import json

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
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
