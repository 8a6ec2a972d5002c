"""What people do beside asking, in a real chromium: read, collect, check, keep a library, call it."""

import ast
import asyncio
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from playwright.sync_api import Browser, Page, expect

from index import Encoder, add, open_library
from search import check, compare, search
from search.records import of_checked, of_results, of_row
from tests.conftest import BOX, READY, REPORT, ask, serve, visit

QUESTION = "行政复议受理了多少件？"
IN_ONE = "郑州怎样优化营商环境？"
OTHER = (
    "洛阳市人民政府关于2021年度工作的报告\n一、成效\n全年受理行政复议案件 411 件，办结 380 件。\n"
)
DRAFT = "报告指出，“审批事项办理时限压缩至5个工作日以内”。全年共受理行政复议975件。"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "luoyang.md").write_text(OTHER, "utf-8")
    for file in (REPORT, folder / "luoyang.md"):
        add(file, folder / "library", encoder=encoder)
    return folder / "library"


@pytest.fixture(scope="module")
def address(library: Path, chromium: str) -> Iterator[str]:
    with serve(library, "--allow-upload", "--mcp") as served:
        yield served


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, address, (1440, 900), request.node.name) as page:
        yield page


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.wait_for_timeout(200)


def top(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box
    return box["y"]


# The report beside the cards


def test_the_outline_is_a_tree_that_leads_to_its_headings(page: Page) -> None:
    page.locator(".yj-outline summary").click()
    inner = page.locator(".yj-outline li li button").filter(has_text="优化法治化营商环境")
    inner.click()
    heading = page.locator(".yj-report h3").filter(has_text="优化法治化营商环境")
    expect(heading).to_be_in_viewport()
    assert (
        0 <= top(page, ".yj-report h3:has-text('优化法治化营商环境')") - top(page, ".yj-pane") < 40
    )


def test_next_and_previous_walk_the_hits_in_reading_order(page: Page) -> None:
    ask(page, IN_ONE)
    page.wait_for_selector(".yj-card.chosen")
    shown = page.locator(".yj-book").get_attribute("data-document")
    cards = page.locator(f'.yj-card[data-document="{shown}"]')
    numbers = sorted(int(str(card.get_attribute("data-number"))) for card in cards.all())
    assert len(numbers) > 1
    previous, following = (page.get_by_role("button", name=n) for n in ("上一处", "下一处"))
    while previous.is_enabled():
        previous.click()
        page.wait_for_timeout(50)
    walked = [page.locator(".yj-report p.chosen").get_attribute("data-number")]
    while following.is_enabled():
        following.click()
        page.wait_for_timeout(50)
        walked.append(page.locator(".yj-report p.chosen").get_attribute("data-number"))
        expect(page.locator(".yj-report p.chosen")).to_be_in_viewport()
    assert [int(str(number)) for number in walked] == numbers


def test_the_strip_shows_where_the_hits_lie_and_leads_there(page: Page) -> None:
    ask(page, IN_ONE)
    page.wait_for_selector(".yj-strip button.chosen")
    shown = page.locator(".yj-book").get_attribute("data-document")
    assert (
        page.locator(".yj-strip button").count()
        == page.locator(f'.yj-card[data-document="{shown}"]').count()
    )
    tops = [tick.bounding_box() for tick in page.locator(".yj-strip button").all()]
    assert [b["y"] for b in tops if b] == sorted(b["y"] for b in tops if b)
    last = page.locator(".yj-strip button").last
    label = str(last.get_attribute("aria-label"))
    last.click()
    number = page.locator(".yj-report p.chosen").get_attribute("data-number")
    assert label.endswith(f"第 {number} 段")


# Evidence


def test_evidence_is_collected_ordered_annotated_and_written_out(
    page: Page, tmp_path: Path, library: Path
) -> None:
    ask(page, QUESTION)
    for place in (0, 1, 0):
        page.locator("#yj-results .yj-keep").nth(place).click()
    expect(page.locator("#yj-results .yj-keep").first).to_have_text("已在证据里")
    texts = page.locator("#yj-results .yj-text").all_inner_texts()[:2]
    tab(page, "证据")
    expect(page.locator(".yj-evidence li")).to_have_count(2)
    page.get_by_role("button", name="下移第 1 条").click()
    page.get_by_label("第 1 条的批注").fill("待核对")
    page.reload()
    page.wait_for_selector(BOX)
    tab(page, "证据")
    expect(page.locator(".yj-evidence li")).to_have_count(2)
    written = {}
    for format, name in (("docx", "Word"), ("md", "Markdown"), ("csv", "表格"), ("json", "JSON")):
        with page.expect_download() as coming:
            page.get_by_role("button", name=f"导出 {name}").click()
        assert coming.value.suggested_filename == f"证据.{format}"
        coming.value.save_as(tmp_path / f"out.{format}")
        written[format] = (tmp_path / f"out.{format}").read_bytes()
    pack = json.loads(written["json"])["evidence"]
    assert [each["text"] for each in pack] == texts[::-1]
    assert [each["note"] for each in pack] == ["待核对", ""]
    assert {each["question"] for each in pack} == {QUESTION}
    assert written["docx"].startswith(b"PK") and "待核对" in written["csv"].decode()
    page.get_by_role("button", name="移出第 2 条").click()
    expect(page.locator(".yj-evidence li")).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="清空").click()
    expect(page.locator(".yj-none")).to_be_visible()
    expect(page.get_by_role("button", name="导出 Word")).to_be_disabled()


def test_what_is_sent_for_evidence_is_never_taken_for_the_words(
    address: str, library: Path
) -> None:
    sha256 = search(IN_ONE, library=library)[0].document.sha256
    sent = [{"d": sha256, "p": 9, "text": "伪造", "q": "", "note": ""}]
    body = json.dumps(sent).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{address}/evidence/md", body)) as reply:
        assert "伪造" not in reply.read().decode()
    for path, data in (("evidence/md", b"[{}]"), ("evidence/md", b"{"), ("evidence/exe", body)):
        with pytest.raises(urllib.error.HTTPError, match="40"):
            urllib.request.urlopen(urllib.request.Request(f"{address}/{path}", data))


# The quote checker


def test_a_draft_is_checked_and_its_places_shown(page: Page, library: Path) -> None:
    tab(page, "核对引文")
    page.fill("#yj-draft-text textarea", DRAFT)
    page.get_by_role("button", name="核对", exact=True).click()
    page.wait_for_selector("#yj-draft .yj-card")
    assert page.locator(".yj-verdict").all_inner_texts() == ["文字有出入", "未找到"]
    first = page.locator("#yj-draft .yj-card").first
    assert (first.locator("del").inner_text(), first.locator("ins").inner_text()) == ("5", "6")
    assert "957 件" in page.locator("#yj-draft .yj-card").nth(1).inner_text()
    first.locator(".yj-jump").click()
    chosen = page.locator(".yj-report p.chosen")
    expect(chosen).to_be_in_viewport()
    assert "审批事项办理时限压缩至" in chosen.inner_text()


# The library


def test_reports_are_listed_added_and_removed(page: Page, library: Path, tmp_path: Path) -> None:
    tab(page, "资料库")
    expect(page.locator("#yj-shelf tbody tr")).to_have_count(2)
    assert "郑政文〔2020〕23号" in page.locator("#yj-shelf").inner_text()
    good, bad = tmp_path / "开封.md", tmp_path / "坏的.docx"
    good.write_text("开封市人民政府关于2022年度工作的报告\n一、成效\n新建学校三十所。\n", "utf-8")
    bad.write_bytes(b"not a document")
    page.locator("#yj-shelf").wait_for()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="添加报告").click()
    chooser.value.set_files([good, bad])
    expect(page.locator("#yj-shelf tbody tr")).to_have_count(3)
    told = page.locator("#yj-added").inner_text()
    assert "新增：开封.md" in told and "坏的.docx" in told
    with open_library(library)[0] as opened:
        assert len(opened.entries()) == 3
    row = page.locator("#yj-shelf tr", has_text="开封")
    page.once("dialog", lambda dialog: dialog.dismiss())
    row.get_by_role("button").click()
    page.wait_for_timeout(300)
    expect(page.locator("#yj-shelf tbody tr")).to_have_count(3)
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button").click()
    expect(page.locator("#yj-shelf tbody tr")).to_have_count(2)
    assert "已移除" in page.locator("#yj-added").inner_text()


def test_without_leave_nothing_is_added_or_removed(
    browser: Browser, library: Path, tmp_path: Path
) -> None:
    shutil.copytree(library, tmp_path / "library")
    with (
        serve(tmp_path / "library") as served,
        visit(browser, served, (390, 844), "no-upload") as page,
    ):
        tab(page, "资料库")
        expect(page.locator("#yj-shelf tbody tr")).to_have_count(2)
        assert page.locator(".yj-remove").count() == 0
        assert page.get_by_role("button", name="添加报告").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# The comparison


def test_numbers_of_one_unit_are_drawn(page: Page) -> None:
    page.fill(BOX, QUESTION)
    page.get_by_role("button", name="逐份对比").click()
    page.wait_for_selector(".yj-plot")
    bars = page.locator(".yj-plot .yj-long i").all()
    widths = [box["width"] for bar in bars if (box := bar.bounding_box())]
    assert len(widths) == 2 and widths == sorted(widths, reverse=True)
    assert "单位：件" in page.locator(".yj-plot figcaption").inner_text()
    assert "v=compare" in page.url
    page.reload()
    page.wait_for_selector(".yj-plot")


# For programs


def as_json(value: object) -> object:
    return json.loads(json.dumps(value))


def test_the_endpoints_return_what_python_does(address: str, library: Path) -> None:
    client = Client(address, verbose=False)
    found = client.predict(question=QUESTION, top_k=2, api_name="/search")
    assert found == as_json(of_results(search(QUESTION, top_k=2, library=library)))
    rows = client.predict(question=QUESTION, years=[2021], api_name="/compare")
    expected = [of_row(row) for row in compare(QUESTION, years=2021, library=library)]
    assert rows == {"rows": as_json(expected)}
    checked = client.predict(text=DRAFT, api_name="/check")
    assert checked == as_json(of_checked(check(DRAFT, library=library)))
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/search", "/compare", "/check"}


def call(address: str, name: str, **given: object) -> tuple[str, object]:
    """Call an endpoint over plain HTTP: its event and data."""
    body = json.dumps(given).encode()
    asked = urllib.request.Request(
        f"{address}/gradio_api/call/v2/{name}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/{name}/{event}") as reply:
        lines = reply.read().decode().split("\n")
    return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


def test_plain_http_gets_the_same_and_errors_in_a_sentence(address: str, library: Path) -> None:
    event, data = call(address, "search", question=QUESTION)
    assert event == "complete"
    assert data == [as_json(of_results(search(QUESTION, library=library)))]
    for given, told in (
        ({"question": "问" * 100_000}, "512"),
        ({"question": "？？"}, "问题里没有文字"),
        ({"question": QUESTION, "years": [1999]}, "1999"),
    ):
        event, data = call(address, "search", **given)
        assert event == "error" and told in data["error"]  # type: ignore[index]


def test_the_tools_are_called_over_mcp(address: str, library: Path) -> None:
    async def use() -> tuple[set[str], object, bool]:
        async with (
            streamable_http_client(f"{address}/gradio_api/mcp/") as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            tools = await session.list_tools()
            found = await session.call_tool("search", {"question": QUESTION})
            wrong = await session.call_tool("search", {"question": "？"})
            return {t.name for t in tools.tools}, found.content[0], bool(wrong.isError)

    with ThreadPoolExecutor() as beside:  # a loop of the browser runs in this thread
        names, content, refused = beside.submit(asyncio.run, use()).result()
    assert names == {"search", "compare", "check"}
    assert ast.literal_eval(content.text) == as_json(of_results(search(QUESTION, library=library)))  # type: ignore[attr-defined]
    assert refused


def test_its_health_is_told(address: str) -> None:
    with urllib.request.urlopen(f"{address}/healthz") as reply:
        assert json.load(reply) == {"status": "ok"}
    with urllib.request.urlopen(f"{address}/readyz") as reply:
        assert json.load(reply) == {"status": "ok", "reports": 2}


# Craft


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, address: str, theme: str) -> None:
    page.goto(f"{address}/?__theme={theme}")
    page.wait_for_selector(READY)
    for name in ("提问", "核对引文", "证据", "资料库"):
        tab(page, name)
        if name == "提问":
            ask(page, QUESTION)
            page.locator("#yj-results .yj-keep").first.click()
            page.wait_for_timeout(2000)
        if name == "核对引文":
            page.fill("#yj-draft-text textarea", DRAFT)
            page.get_by_role("button", name="核对", exact=True).click()
            page.wait_for_selector("#yj-draft .yj-card")
        found = Axe().run(page).response["violations"]
        serious = [
            (each["id"], node["html"][:200], node["failureSummary"][:300])
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
        assert serious == [], name


def test_nothing_jumps_while_an_answer_comes(page: Page) -> None:
    page.evaluate(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => {"
        " if (!entry.hadRecentInput) window.shift += entry.value; }))"
        ".observe({ type: 'layout-shift', buffered: false })"
    )
    for question in (QUESTION, "报告承认还存在哪些不足？"):
        ask(page, question)
        page.wait_for_timeout(700)
    assert page.evaluate("window.shift") < 0.1


def test_every_word_on_the_page_is_chinese(page: Page) -> None:
    ask(page, QUESTION)
    seen = ""
    for name in ("提问", "核对引文", "证据", "资料库"):
        tab(page, name)
        seen += page.inner_text("body")
    words = set(re.findall(r"[A-Za-z]{2,}", seen))
    assert words <= {
        "GB",
        "Markdown",
        "BibTeX",
        "CSL",
        "JSON",
        "Word",
        "md",
        "markdown",
        "txt",
        "docx",
        "pdf",
        "html",
        "htm",
    }
