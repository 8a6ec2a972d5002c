"""Who gets in, with how much, what is written down, and how it ends (RELIABILITY 4, 18, 22)."""

import asyncio
import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

import ui
from index import ReportError
from search.web import desk as desks
from search.web.desk import Desk
from search.web.gate import Gate, Login
from search.web.routes import routes
from tests.conftest import ROOT, FakeEncoder, serve

QUESTION = "行政复议受理了多少件？"
MANY = (
    QUESTION, "审批事项办理时限压缩到几个工作日？", "报告承认还存在哪些不足？", "郑州市2020年打算怎样加强监管",
    "谁签发的", "老百姓去大厅能一趟办完吗", "2018年的应诉案件有多少", "红头文件清理了几次", "数据孤岛", "明天下雨吗",
)  # fmt: skip


@pytest.fixture(scope="module")
def address(real: Path) -> Iterator[str]:
    with serve(real) as served:
        yield served


def fetch(
    address: str, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send one request as it is written, whatever a client would have made of it."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
    for name, value in given.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    reply = connection.getresponse()
    data = reply.read()
    found = {name.lower(): value for name, value in reply.getheaders()}
    connection.close()
    return reply.status, found, data


def question(address: str, words: str = QUESTION, **headers: str) -> tuple[int, bytes]:
    body = json.dumps({"question": words}).encode()
    status, _, data = fetch(
        address, "/gradio_api/call/v2/search", method="POST", body=body,
        Content_Type="application/json", **headers,
    )  # fmt: skip
    if status != 200:
        return status, data
    event = json.loads(data)["event_id"]
    status, _, data = fetch(address, f"/gradio_api/call/search/{event}", **headers)
    return status, data


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::", "kb:7860", "evil@127.0.0.1"]
)
def test_another_host_name_is_turned_away(address: str, host: str) -> None:
    status, headers, _ = fetch(address, "/", Host=host)
    assert status == 421
    assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[", "x"]
)
def test_another_origin_is_turned_away(address: str, origin: str) -> None:
    status, headers, _ = fetch(address, "/gradio_api/info", Origin=origin)
    assert status == 403
    assert not any(name.startswith("access-control") for name in headers)
    assert question(address, Origin=origin)[0] == 403


def test_an_ordinary_question_is_answered(address: str) -> None:
    for headers in ({}, {"Origin": address}):
        status, data = question(address, **headers)
        assert status == 200
        assert b"event: complete" in data


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
        "/static/../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/report/..%2f..%2fetc%2fpasswd",
        "/report/" + "0" * 64,
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/proxy=https://evil.example/",
        "/gradio_api/component_server",
        "/monitoring",
        "/gradio_api/upload_progress?upload_id=x",
        "/../library.db",
        "/library.db",
        "/docs",
        "/openapi.json",
        "/no-such-address",
        "//",
        "//healthz",
        "/config/",
        "/%67radio_api/file=/etc/passwd",
        "/gradio_api%2ffile=/etc/passwd",
        "/assets/../gradio_api/file=/etc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets//etc/passwd",
        "/gradio_api/call/../file=/etc/passwd",
        "/gradio_api/info%0a",
        "/gradio_api/mcp/",
        "/gradio_api/heartbeat/x",
    ],
)
def test_nothing_else_is_served(address: str, path: str) -> None:
    status, _, data = fetch(address, path)
    assert status == 404
    assert b"root:" not in data


USED = {
    "/", "/config", "/favicon.ico", "/manifest.json", "/theme.css",
    "/assets/{path:path}", "/static/{path:path}",
    "/healthz", "/readyz", "/report/{sha256}", "/evidence/{format}",
    "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/cancel", "/gradio_api/reset",
    "/gradio_api/queue/join", "/gradio_api/queue/data",
    "/gradio_api/call/{api_name}", "/gradio_api/call/{api_name}/{event_id}",
    "/gradio_api/call/v2/{api_name}", "/gradio_api/call/v2/{api_name}/{event_id}",
}  # fmt: skip


def routed(within: Iterable[Any], before: str = "") -> Iterator[str]:
    """The addresses of an application, with the names of what varies in them."""
    for route in within:
        inside = getattr(route, "original_router", route)  # as FastAPI 0.165 keeps a router
        path = before + getattr(route, "path", "")
        if getattr(inside, "routes", None):
            yield from routed(inside.routes, path)
        else:
            yield path


@pytest.mark.parametrize("more", [set(), {"/gradio_api/upload", "/gradio_api/mcp"}])
def test_what_gradio_serves_beside_what_is_used_is_not_there(library: Path, more: set[str]) -> None:
    reached: set[str] = set()

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        reached.add(scope["address"])

    async def turned_away(message: Any) -> None:
        assert message.get("status", 404) == 404

    async def knock() -> None:
        app: Any = ui.server(Desk(library), library, hosts=["a"], login=None, mcp=True)._app
        addresses = set(routed(app.routes))
        assert len(addresses) > 80 and addresses >= USED | {"/gradio_api/upload", "/gradio_api/mcp"}
        gate = Gate(behind, hosts=["a"], upload=bool(more), mcp=bool(more))
        for address in addresses:
            path = re.sub(r"\{[^}]*\}", "x", address)
            scope = {"type": "http", "method": "GET", "path": path, "address": address}
            await gate({**scope, "headers": [(b"host", b"a")]}, None, turned_away)  # type: ignore[arg-type]

    asyncio.run(knock())  # Gradio makes loops of its own where none runs
    assert reached == USED | more


def test_the_page_and_its_clients_do_without_the_stream_that_is_turned_away(address: str) -> None:
    _, _, data = fetch(address, "/config")
    assert json.loads(data)["connect_heartbeat"] is False


def test_nothing_can_be_uploaded(address: str) -> None:
    for path in ("/gradio_api/upload", "/gradio_api/upload/", "//gradio_api/upload"):
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n1\r\n--x--\r\n'
        status, _, _ = fetch(
            address, path, method="POST", body=body, Content_Type="multipart/form-data; boundary=x"
        )
        assert status == 404


def test_too_much_is_refused_whether_it_says_so_or_not(address: str) -> None:
    path = "/gradio_api/call/v2/search"
    assert fetch(address, path, method="POST", Content_Length=str(10**9))[0] == 413
    assert fetch(address, path, method="POST", Content_Length="-5")[0] in (400, 413)
    parts = urlsplit(address)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30) as raw:
        head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.sendall(head.encode())
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        told = b""
        try:
            for _ in range(80):  # 5 MB, of which 4 may come in
                raw.sendall(piece)
            raw.sendall(b"0\r\n\r\n")
            told = raw.recv(100)
        except OSError:  # it hung up before all was sent
            told = told or b" 413 "
    assert b" 413 " in told
    assert question(address)[0] == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"null", b"{}", b'{"nope": 1}'])
@pytest.mark.parametrize("name", ["call/v2/search", "call/search", "call/v2/nope", "queue/join"])
def test_what_is_no_question_is_refused_in_a_sentence(address: str, name: str, body: bytes) -> None:
    status, _, data = fetch(
        address, f"/gradio_api/{name}", method="POST", body=body, Content_Type="application/json"
    )
    assert status == 400
    assert "应当是一个 JSON 对象" in json.loads(data)["detail"]


def test_the_page_cannot_be_framed_and_says_where_its_scripts_come_from(address: str) -> None:
    _, headers, _ = fetch(address, "/")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-request-id"]


def test_whoever_knows_the_password_gets_in(real: Path, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("开门：sesame\n", "utf-8")
    with serve(real, "--auth", f"王:{tmp_path / 'word'}") as served:
        assert fetch(served, "/")[0] == 401
        assert fetch(served, "/report/00000000")[0] == 401
        assert question(served)[0] == 401
        assert fetch(served, "/healthz")[0] == 200
        for words, status in (("王:开门：sesame", 200), ("王:no", 401), ("x:开门：sesame", 401)):
            token = base64.b64encode(words.encode()).decode()
            assert fetch(served, "/", Authorization=f"Basic {token}")[0] == status
        assert fetch(served, "/", Authorization="Basic ???")[0] == 401


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "--auth"),
        (["--allow-host", "kb.example.cn"], "--auth"),
        (["--no-auth", "--allow-host", "kb.example.cn:80"], "不带端口"),
        (["--host", "0.0.0.0", "--no-auth"], "--allow-host"),
        (["--auth", "wang"], "用户名:密码文件"),
        (["--auth", "wang:/no/such/file"], "密码文件"),
        (["--auth", "wang:/dev/null"], "是空的"),
        (["--port", "0"], "65535"),
        (["--host", "256.1.1.1", "--no-auth", "--allow-host", "a"], "--host"),
    ],
)
def test_what_would_open_it_unasked_is_refused(
    options: list[str], told: str, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ui.main(["--library", str(real), *options]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert told in said[-1] and len(said) == 1


def test_beyond_this_machine_it_answers_to_the_names_given() -> None:
    given = ui._parser().parse_args(["--host", "0.0.0.0", "--no-auth", "--allow-host", "kb.corp"])
    assert ui._who(given) == (["kb.corp", *ui.LOOPBACK], None)
    assert ui._who(ui._parser().parse_args([])) == ([*ui.LOOPBACK], None)


def test_a_login_is_compared_whole() -> None:
    login = Login("a", "b:c")
    right = base64.b64encode(b"a:b:c").decode()
    assert login.opens(f"Basic {right}") and login.opens(f"basic {right}")
    assert not any(map(login.opens, ["", "Basic", "Bearer " + right, "Basic " + right[:-1]]))


def started(library: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """The server with its log at hand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "ui.py", "--library", str(library), "--port", str(port), *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout
    assert server.stdout.readline()
    return server, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("options", [[], ["--log-questions"]])
def test_the_log_tells_what_was_done_and_not_what_was_asked(real: Path, options: list[str]) -> None:
    server, served = started(real, *options)
    assert question(served)[0] == 200
    assert fetch(served, "/", Host="evil.example")[0] == 421
    for path, sent in (
        ("/gradio_api/call/search", {"data": ["悄悄话"]}),
        ("/gradio_api/run/search", {"data": ["悄悄话"]}),
        ("/gradio_api/call/v2/search", {"悄悄话": "悄悄话", "question": ["悄悄话"]}),
    ):
        body = json.dumps(sent, ensure_ascii=False).encode()
        status, _, data = fetch(
            served, path, method="POST", body=body, Content_Type="application/json"
        )
        if status == 200 and b"event_id" in data:
            fetch(served, f"/gradio_api/call/search/{json.loads(data)['event_id']}")
    server.send_signal(signal.SIGTERM)
    _, text = server.communicate(timeout=30)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    asked = next(line for line in lines if line["event"] == "search")
    assert asked["length"] == len(QUESTION)
    assert asked["outcome"] == "answered" and asked["ms"] > 0
    assert ("question" in asked) == bool(options)
    assert (QUESTION in text) == bool(options)
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["status"] for line in requests} >= {200, 421}
    assert "悄悄话" not in text or options
    assert len({line["id"] for line in requests}) == len(requests)


def test_what_was_asked_is_still_answered_when_it_is_told_to_stop(real: Path) -> None:
    server, served = started(real)
    assert question(served)[0] == 200
    body = json.dumps({"question": "报告承认还存在哪些不足？"}).encode()
    _, _, data = fetch(
        served,
        "/gradio_api/call/v2/search",
        method="POST",
        body=body,
        Content_Type="application/json",
    )
    event = json.loads(data)["event_id"]
    found: list[bytes] = []
    reading = threading.Thread(
        target=lambda: found.append(fetch(served, f"/gradio_api/call/search/{event}")[2])
    )
    with kept_open(served, "/"), kept_open(served, "/gradio_api/heartbeat/x"):
        reading.start()
        time.sleep(0.02)  # the answer is being read by then
        server.send_signal(signal.SIGTERM)
        reading.join(timeout=30)
        assert b"event: complete" in found[0]
        assert server.wait(timeout=5) in (0, -signal.SIGTERM)
    server.communicate()


@contextlib.contextmanager
def kept_open(address: str, path: str) -> Iterator[None]:
    """Ask as a browser does, which keeps the connection when it has its answer."""
    parts = urlsplit(address)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        assert raw.recv(9) == b"HTTP/1.1 "
        yield


def test_whoever_comes_when_all_places_are_taken_is_told_so(
    library: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "WAITING", 2)
    desk = Desk(library)
    document = desk.opened().reports[0].document
    chosen = [{"d": document.sha256, "p": 1}]
    asked = TestClient(routes(desk))
    go = threading.Event()
    inside = threading.Semaphore(0)

    def hold() -> None:
        with desk._turn("search", "问"):
            inside.release()
            go.wait()

    holders = [threading.Thread(target=hold) for _ in range(desks.RUNNING + 2)]
    for holder in holders:
        holder.start()
    for _ in range(desks.RUNNING):
        inside.acquire()
    while desk._inside < len(holders):
        time.sleep(0.01)  # until all of them are inside
    with pytest.raises(ReportError, match="正忙"):
        desk.ask(QUESTION)
    refused = asked.get(f"/report/{document.sha256}"), asked.post("/evidence/md", json=chosen)
    assert [(reply.status_code, "正忙" in reply.text) for reply in refused] == [(503, True)] * 2
    go.set()
    for holder in holders:
        holder.join()
    assert "yj-card" in desk.ask(QUESTION)
    served = asked.get(f"/report/{document.sha256}"), asked.post("/evidence/md", json=chosen)
    assert [reply.status_code for reply in served] == [200, 200]


@pytest.mark.parametrize(
    ("length", "status", "told"),
    [
        (512, 200, b"event: complete"),
        (513, 200, json.dumps("超过 512 字")[1:-1].encode()),
        (5_000_000, 413, b""),
    ],
)
def test_4_a_question_over_http_is_as_long_as_one_in_python(
    address: str, length: int, status: int, told: bytes
) -> None:
    found, data = question(address, words="问" * length)
    assert found == status
    assert told in data


@pytest.mark.slow
def test_18_a_crowd_is_answered_without_an_error(real: Path) -> None:
    measured = {}
    with serve(real) as served:
        question(served)
        for clients in (1, 4, 16):
            times: list[float] = []
            left = iter(MANY * 20)
            lock = threading.Lock()

            def ask(
                times: list[float] = times, left: Iterator[str] = left, lock: Any = lock
            ) -> None:
                while True:
                    with lock:
                        words = next(left, None)
                    if words is None:
                        return
                    started = time.perf_counter()
                    status, data = question(served, words=words)
                    took = time.perf_counter() - started
                    assert status == 200 and b"event: complete" in data, data
                    with lock:
                        times.append(took)

            started = time.perf_counter()
            with ThreadPoolExecutor(clients) as crowd:
                for done in [crowd.submit(ask) for _ in range(clients)]:
                    done.result()
            took = time.perf_counter() - started
            cuts = statistics.quantiles(times, n=100)
            measured[clients] = {
                "questions": len(times),
                "errors": 0,
                "per_second": round(len(times) / took, 2),
                "p50_ms": round(cuts[49] * 1000),
                "p99_ms": round(cuts[98] * 1000),
            }
            assert len(times) == 200
    out = ROOT / ".ci" / "out"
    out.mkdir(parents=True, exist_ok=True)
    (out / "load.json").write_text(json.dumps(measured, indent=2))
