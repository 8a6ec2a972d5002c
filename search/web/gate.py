"""The gate in front of the page: who may come in, with how much, and what is written down of it."""

import base64
import binascii
import hmac
import json
import re
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 4 * 2**20
"""Bytes of a request: a draft of 20,000 characters or 500 pieces of evidence with notes fit well."""

MAX_UPLOAD = 256 * 2**20

_OPEN = ("/healthz", "/readyz")
_UPLOAD = "/gradio_api/upload"
# What the page, gradio_client and curl ask for. Gradio serves much more, and a later one may add to it.
_USED = (
    *_OPEN,
    r"/(?:config|favicon\.ico|manifest\.json|theme\.css)?",
    r"/(?:assets|static)(?:/(?!\.)[\w.-]+)+",
    r"/(?:report|evidence)/\w+",
    r"/gradio_api/(?:info|app_id|cancel|reset|queue/join|queue/data)",
    r"/gradio_api/call/(?:v2/)?\w+(?:/\w+)?",
)
_MCP = "/gradio_api/mcp/?"
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d+)?", re.I)
_QUIET = ("/assets/", "/static/", "/theme.css")  # parts of every page, not worth a line in the log
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",  # the address holds the question
    # Gradio compiles the scripts of events in the browser.
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        b"frame-ancestors 'none'; form-action 'self'"
    ),
}


@dataclass(frozen=True, slots=True)
class Login:
    """The one name and password that open the page."""

    user: str
    password: str

    def opens(self, header: str) -> bool:
        """Whether an Authorization header (RFC 7617) holds them."""
        kind, _, value = header.partition(" ")
        try:
            given = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        expected = f"{self.user}:{self.password}"
        return kind.lower() == "basic" and hmac.compare_digest(given.encode(), expected.encode())


class TooLarge(Exception):
    """A body went over the limit while it was read."""


class Gate:
    """An ASGI application that lets a request through to another, or answers it itself.

    ``hosts`` are the names, without port, that the page answers to: whatever another name points
    here from, and pages of other origins, are turned away. Only addresses that are in use are
    served; those of ``upload`` and ``mcp`` if these are wanted. Streams pass as they come.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str],
        upload: bool,
        mcp: bool,
        login: Login | None = None,
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        used = (*_USED, *[_UPLOAD] * upload, *[_MCP] * mcp)
        self._served = re.compile("|".join(used), re.ASCII)
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        await self._exchange(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 0
        name = uuid.uuid4().hex[:12]
        left = self._limit(scope["path"])

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:  # what reads the body may make another error of this
                raise TooLarge
            return message

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"] = 413 if left < 0 else message["status"]
                own = [*_HEADERS.items(), (b"x-request-id", name.encode())]
                message["headers"] = [*_kept(message["headers"]), *own]
            await send(message)

        try:
            await self._pass(scope, counted, answered)
        except TooLarge:
            if not status:
                await _answer(answered, 413, "内容太大。")
        except Exception as exc:  # of Gradio: its traceback may hold what was sent
            *_, last = traceback.extract_tb(exc.__traceback__)
            log("error", id=name, error=type(exc).__name__, at=f"{last.filename}:{last.lineno}")
            if not status:
                await _answer(answered, 500, "服务器出错了，请稍后再试。")
        finally:
            if not scope["path"].startswith(_QUIET):
                took = round((time.perf_counter() - started) * 1000, 1)
                method, path = scope["method"], scope["path"]
                log("request", id=name, method=method, path=path, status=status, ms=took)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal:
            await _answer(send, *refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and the sentence for what may not come in."""
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host = headers.get(b"host", "")
        if host_name(host) not in self._hosts:
            return 421, "这个网页不以这个名字开放。"
        origin = headers.get(b"origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, "不接受来自别的网站的请求。"
        path = scope["path"]  # as the router sees it: decoded, neither "//" nor ".." resolved
        if (
            self._login
            and path not in _OPEN
            and not self._login.opens(headers.get(b"authorization", ""))
        ):
            return 401, "请输入用户名和密码。"
        if not self._served.fullmatch(path):
            return 404, "没有这个地址。"
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length) > self._limit(path):
            return 413, "内容太大。"
        return None

    def _limit(self, path: str) -> int:
        return MAX_UPLOAD if path == _UPLOAD else MAX_BODY


def log(event: str, **told: object) -> None:
    """Write one line of JSON to stderr."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **told}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def host_name(words: str) -> str:
    """Return a Host header without its port and brackets; empty if it is none."""
    found = _HOST.fullmatch(words)
    return (found[1] or found[2]).lower() if found else ""


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out what would let other origins read the answer, and what is set here."""
    return [
        (key, value)
        for key, value in headers
        if not key.lower().startswith(b"access-control-") and key.lower() not in _HEADERS
    ]


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="yiju", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})
