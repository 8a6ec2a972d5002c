"""The page in a real headless chromium, over the real library and the real model."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from index import Encoder, add
from search import compare, search
from search.citation import STYLES, reference
from tests.conftest import BOX, READY, REPORT, ROOT, ask, serve, visit

QUESTION = "行政复议受理了多少件？"
WORDS = (
    QUESTION, "审批要几个工作日", "报告承认还存在哪些不足", "2020年打算怎样加强监管", "谁签发的",
    "老百姓去大厅能一趟办完吗", "数据孤岛", "2018年应诉案件多少", "红头文件清理了几次", "怎么培训执法人员",
)  # fmt: skip
EVIL = (
    "关于<script>alert(1)</script>的报告\n一、成效\n"
    "全年办理<img src=x onerror=alert(2)>脚本注入案件 3 件，</mark><b>全部</b>办结。\n"
)


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder, real: Path) -> Path:
    """A library of the Zhengzhou report and of one that holds markup."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / "evil.md").write_text(EVIL, "utf-8")
    for file in (REPORT, folder / "evil.md"):
        add(file, folder / "library", encoder=encoder)
    return folder / "library"


@pytest.fixture(scope="module")
def address(evil: Path, chromium: str) -> Iterator[str]:
    with serve(evil) as served:
        yield served


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desktop", "phone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with visit(browser, address, request.param, request.node.name) as page:
        page.on("dialog", lambda _: page.requested.append("alert"))  # type: ignore[attr-defined]
        yield page


def test_enter_brings_the_cards_best_first(page: Page, evil: Path) -> None:
    ask(page, QUESTION)
    shown = [card.inner_text() for card in page.query_selector_all(".yj-text")]
    assert shown == [hit.text for hit in search(QUESTION, library=evil)]


def test_a_card_tells_rank_kind_place_and_how_it_stands(page: Page) -> None:
    ask(page, QUESTION)
    top = page.locator(".yj-card .yj-top").first.inner_text().split()
    assert top[:2] == ["1", "已完成"]
    assert "分行拼接" in top
    bar = page.locator(".yj-card .yj-score").first
    assert str(bar.get_attribute("aria-label")).startswith("相关度 0.")


def test_the_best_sentence_is_marked_on_the_card_and_in_the_report(page: Page, evil: Path) -> None:
    ask(page, QUESTION)
    hit = search(QUESTION, library=evil)[0]
    start, end = hit.marks[0]
    for place in (".yj-card.chosen", ".yj-report p.chosen"):
        marks = page.locator(f"{place} mark").all_inner_texts()
        assert "".join(marks) == hit.text[start:end]


@pytest.mark.parametrize("place", [1, 4])
def test_the_report_is_scrolled_to_the_chosen_passage(page: Page, place: int) -> None:
    ask(page, QUESTION)
    page.locator(".yj-card").nth(place).locator(".yj-text").click()
    number = page.locator(".yj-card.chosen").get_attribute("data-number")
    chosen = page.locator(".yj-report p.chosen")
    assert chosen.get_attribute("data-number") == number
    expect(chosen).to_be_in_viewport()
    pane, passage = page.locator(".yj-pane").bounding_box(), chosen.bounding_box()
    assert pane and passage
    assert pane["y"] <= passage["y"] < pane["y"] + pane["height"]


def test_the_report_is_there_whole_before_any_question(page: Page, evil: Path) -> None:
    text = page.locator(".yj-report").first.inner_text()
    assert "（八）健全行政争议预防化解机制" in text
    assert page.locator(".yj-report:not([hidden]) p").count() == 34


def test_the_citation_is_copied(page: Page, evil: Path) -> None:
    ask(page, QUESTION)
    page.locator(".yj-copy").first.click()
    expect(page.locator(".yj-copy").first).to_have_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == search(QUESTION, library=evil)[0].citation


def test_an_example_asks_itself(page: Page) -> None:
    page.get_by_role("button", name="这份报告是谁签发的？").click()
    expect(page.locator(".yj-card").first).to_contain_text("签发人：王新伟")


def test_what_is_not_in_the_report_is_said(page: Page) -> None:
    ask(page, "红烧肉怎么做才不腻")
    expect(page.locator(".yj-note")).to_have_text(
        "报告中没有找到依据。以下段落仅供参考，不能作为依据。"
    )


@pytest.mark.parametrize("query", ["", "?q=谁签发的"])
@pytest.mark.parametrize("press", ["Enter", "提问", "逐份对比", "这份报告是谁签发的？"])
def test_what_is_asked_while_the_page_loads_is_asked_when_it_has(
    browser: Browser, address: str, press: str, query: str
) -> None:
    held: list[Route] = []
    asked: list[str] = []
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.on("request", lambda sent: asked.append(sent.url))
        page.route("**/queue/join*", lambda route: held.append(route), times=1)
        with page.expect_request("**/queue/join*"):  # what the page itself asks as it loads
            page.goto(address + query)
        page.fill(BOX, QUESTION)
        if press == "Enter":
            page.press(BOX, press)
        else:
            page.get_by_role("button", name=press).click()
        page.wait_for_timeout(300)  # in which it would be asked
        assert sum("queue/join" in url for url in asked) == 1
        held[0].continue_()
        question = press if press.endswith("？") else QUESTION
        view = '[data-view="compare"]' if press == "逐份对比" else ":not([data-view])"
        page.wait_for_selector(f'#yj-results .yj-found[data-question="{question}"]{view}')


def test_a_bad_question_gets_its_sentence(page: Page) -> None:
    ask(page, "？？")
    expect(page.locator(".yj-note")).to_contain_text("问题里没有文字")


def test_a_bad_question_leaves_no_old_mark(page: Page) -> None:
    ask(page, QUESTION)
    expect(page.locator(".yj-report p.chosen")).to_have_count(1)
    ask(page, "？？")
    expect(page.locator(".yj-report p.chosen")).to_have_count(0)


def test_dark_marks_are_dark_on_light(page: Page, address: str) -> None:
    page.goto(f"{address}/?__theme=dark")
    page.wait_for_selector(READY)
    ask(page, QUESTION)
    color = "(node) => getComputedStyle(node).color"
    for mark in ("mark", "mark b"):
        for place in (".yj-card", ".yj-report"):
            assert page.locator(f"{place} {mark}").first.evaluate(color) == "rgb(28, 25, 23)"
    assert page.locator(".yj-head p").evaluate(color) == "rgb(168, 162, 158)"


def test_confirming_a_candidate_with_enter_asks_nothing(page: Page) -> None:
    box = page.locator(BOX)
    box.fill("行政复议")
    enter = {"key": "Enter", "bubbles": True, "cancelable": True}
    for kind in ("keydown", "keypress"):
        box.dispatch_event(kind, {**enter, "isComposing": True})
    page.wait_for_timeout(500)
    assert page.locator(".yj-card").count() == 0
    for kind in ("keydown", "keypress"):
        box.dispatch_event(kind, {**enter, "isComposing": False})
    expect(page.locator(".yj-card")).to_have_count(5)


def test_a_candidate_confirmed_while_composing_asks_nothing(page: Page) -> None:
    """As an input method does it: composition in progress, Enter, then the words."""
    page.focus(BOX)
    keys = page.context.new_cdp_session(page)
    keys.send(
        "Input.imeSetComposition", {"text": "xingzheng", "selectionStart": 9, "selectionEnd": 9}
    )
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
    keys.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": "\r", **enter})
    keys.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    keys.send("Input.insertText", {"text": "行政复议"})
    page.wait_for_timeout(500)
    assert page.locator(".yj-card").count() == 0
    assert page.input_value(BOX).strip() == "行政复议"
    page.keyboard.press("Enter")
    expect(page.locator("#yj-results .yj-card")).to_have_count(5)


def test_from_the_question_to_the_copied_citation_by_keyboard(page: Page, evil: Path) -> None:
    page.focus(BOX)
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".yj-card.chosen")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.textContent"
    assert page.evaluate(focused) == "原文"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "复制引文"
    outline = "getComputedStyle(document.activeElement).outlineWidth"
    assert page.evaluate(outline) == "3px"
    page.keyboard.press("Enter")
    expect(page.locator(".yj-copy").first).to_have_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == search(QUESTION, library=evil)[0].citation
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.closest('#yj-question') !== null")


def test_a_report_of_another_document_comes_with_its_card(page: Page) -> None:
    ask(page, "脚本注入案件办理了几件")
    expect(page.locator(".yj-report:not([hidden]) p.chosen")).to_contain_text("脚本注入案件 3 件")


def test_markup_in_a_report_is_shown_and_not_obeyed(page: Page) -> None:
    ask(page, "脚本注入案件办理了几件")
    assert "</mark><b>全部</b>" in page.locator(".yj-text").first.inner_text()
    tags = "(root) => [...root.querySelectorAll('*')].map((node) => node.localName)"
    found = {
        tag for place in ("#yj-results", "#yj-report") for tag in page.eval_on_selector(place, tags)
    }
    assert found & {"script", "img", "iframe", "svg", "a"} == set()
    assert "alert" not in page.requested  # type: ignore[attr-defined]


def test_the_page_fits_its_width(page: Page) -> None:
    ask(page, QUESTION)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_only_this_machine_is_asked_and_only_the_tab_remembers(page: Page, address: str) -> None:
    ask(page, QUESTION)
    page.wait_for_timeout(500)
    asked = page.requested  # type: ignore[attr-defined]
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    kept = page.evaluate(
        "async () => JSON.stringify({...localStorage})"
        " + JSON.stringify(await indexedDB.databases()) + document.cookie"
    )
    assert QUESTION not in kept
    assert QUESTION in page.evaluate("JSON.stringify({...sessionStorage})")


def test_a_taken_port_is_told_in_one_sentence(address: str, evil: Path) -> None:
    port = address.rsplit(":", 1)[1]
    run = subprocess.run(
        [sys.executable, "ui.py", "--library", str(evil), "--port", port],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ},
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(
        f"不能在 127.0.0.1 的端口 {port} 打开网页：端口已被占用"
    )


def test_each_card_says_which_report_it_is_from_and_the_report_comes_when_it_is_chosen(
    page: Page,
) -> None:
    ask(page, "办理案件多少件")
    names = page.locator(".yj-card .yj-from").all_inner_texts()
    assert len(names) == page.locator(".yj-card").count()
    first = page.locator(".yj-book").get_attribute("data-document")
    others = page.locator(f'.yj-card:not([data-document="{first}"])')
    others.first.click()
    wanted = str(others.first.get_attribute("data-document"))
    page.wait_for_selector(f'.yj-book[data-document="{wanted}"] p.chosen')


def test_the_filters_leave_only_what_was_chosen(page: Page) -> None:
    page.get_by_text("只查其中一部分").click()
    page.get_by_label("性质").click()
    page.get_by_role("option", name="计划").click()
    ask(page, "案件办理")
    assert set(page.locator(".yj-card .yj-kind").all_inner_texts()) == {"计划"}


def test_the_comparison_has_a_row_for_each_report(page: Page, evil: Path) -> None:
    page.fill(BOX, QUESTION)
    page.get_by_role("button", name="逐份对比").click()
    page.wait_for_selector(".yj-compare tbody tr")
    rows = page.locator(".yj-compare tbody tr")
    assert rows.count() == 2
    numbers = {row.number for row in compare(QUESTION, library=evil) if row.number}
    assert numbers and all("件" in number for number in numbers)
    assert set(page.locator(".yj-number").all_inner_texts()) == numbers
    expect(page.locator(".yj-report p.chosen")).to_have_count(1)


def test_the_answer_stands_above_the_cards_in_large_type(page: Page, evil: Path) -> None:
    ask(page, "审批事项办理时限压缩到几个工作日？")
    said = search("审批事项办理时限压缩到几个工作日？", library=evil).answer
    assert said
    assert page.locator(".yj-answer p").inner_text() == said.text == "6 个工作日以内"
    assert page.locator(".yj-answer cite").inner_text() == said.hit.citation
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    large, small = (
        page.locator(place).first.evaluate(size) for place in (".yj-answer p", ".yj-text")
    )
    assert large >= 1.4 * small


def test_the_address_holds_the_question_and_opens_the_same(page: Page, browser: Browser) -> None:
    ask(page, QUESTION)
    page.locator(".yj-card").nth(2).locator(".yj-jump").click()
    chosen = page.locator(".yj-card.chosen")
    number = chosen.get_attribute("data-number")
    page.wait_for_url(f"**p={number}")
    with visit(browser, page.url, (1440, 900), "link") as other:
        expect(other.locator(".yj-card.chosen")).to_have_attribute("data-number", str(number))
        expect(other.locator(".yj-report p.chosen")).to_be_in_viewport()
        assert other.input_value(BOX) == QUESTION


def test_back_and_forward_go_from_question_to_question(page: Page) -> None:
    for question in (QUESTION, "这份报告是谁签发的？"):
        ask(page, question)
        page.wait_for_selector(".yj-card.chosen")
    page.go_back()
    page.wait_for_selector(f'.yj-found[data-question="{QUESTION}"]')
    expect(page.locator(BOX)).to_have_value(QUESTION)
    page.go_forward()
    page.wait_for_selector('.yj-found[data-question="这份报告是谁签发的？"]')


def test_the_last_questions_of_this_tab_are_a_click_away(page: Page, browser: Browser) -> None:
    for question in (QUESTION, "红烧肉怎么做才不腻", QUESTION):
        ask(page, question)
    assert page.locator(".yj-asked").all_inner_texts() == [QUESTION, "红烧肉怎么做才不腻"]
    page.locator(".yj-asked").nth(1).click()
    page.wait_for_selector('.yj-found[data-question="红烧肉怎么做才不腻"]')
    page.reload()
    page.wait_for_selector(".yj-asked")
    assert page.locator(".yj-asked").count() == 2


@pytest.mark.parametrize("style", STYLES)
def test_a_citation_is_copied_in_the_chosen_form(page: Page, evil: Path, style: str) -> None:
    ask(page, QUESTION)
    page.locator("#yj-results .yj-styles").select_option(style)
    page.locator(".yj-copy").first.click()
    expect(page.locator(".yj-copy").first).to_have_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n")
    assert copied == reference(search(QUESTION, library=evil)[0].passage, style)  # type: ignore[arg-type]


def test_how_soon_the_first_card_comes_after_enter_is_written_down(page: Page) -> None:
    asked = [f"{question}（{number}）" for number in range(3) for question in WORDS]
    ask(page, asked[0])
    times = []
    for question in asked[1:21]:
        started = time.perf_counter()
        ask(page, question)
        times.append(round((time.perf_counter() - started) * 1000))
        assert page.locator(".yj-card").first.is_visible()
    told = {"median_ms": statistics.median(times), "times_ms": times}
    (ROOT / ".ci" / "out").mkdir(parents=True, exist_ok=True)
    (ROOT / ".ci" / "out" / "first-card.json").write_text(json.dumps(told))
