"""The start of the page, when the server, the page's files, the browser's storage or a stored chat are faulty."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy

MODELS = "**/api/tags"
NOT_FOUND = (404, {"Content-Type": "application/json"}, """{"error":"model 'tinyllama:latest' not found"}""")

# Keeps the page of the same origin that runs it connected to the storage, and has every later connection wait.
HOLD = """
  () => new Promise((resolve) => {
    const opening = indexedDB.open("hearth");
    opening.onsuccess = () => {
      window.held = opening.result;
      indexedDB.deleteDatabase("hearth").onblocked = resolve;
    };
  })
"""
# Opens the storage when the test calls openNow().
LATER = """
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (...all) {
    const later = {};
    window.openNow = () => {
      const opening = open.apply(this, all);
      opening.onsuccess = (event) => { later.result = opening.result; later.onsuccess(event); };
    };
    return later;
  };
"""
# What a later version of the page would do.
UPGRADE = """
  () => new Promise((resolve) => {
    const opening = indexedDB.open("hearth", 2);
    opening.onsuccess = () => resolve("opened");
    opening.onblocked = () => resolve("blocked");
  })
"""
DAMAGE = """
  (id) => new Promise((resolve) => {
    const opening = indexedDB.open("hearth", 1);
    opening.onsuccess = () => {
      const writing = opening.result.transaction(["heads", "chats"], "readwrite");
      writing.objectStore("heads").put({ id, title: "Bent", changed: 1 });
      writing.objectStore("chats").put({ id, title: "Bent", changed: 1, turns: [null] });
      writing.oncomplete = () => { opening.result.close(); resolve(); };
    };
  })
"""


def hold_models(page: Page) -> list[Route]:
    """Let the page's requests for the list of models wait for a response; returns them as they arrive."""
    held: list[Route] = []
    page.route(MODELS, lambda route: held.append(route))
    return held


def release_models(page: Page) -> None:
    """Let the requests from now on pass. (Without any route, Chromium would also continue those that are held.)"""
    page.route(MODELS, lambda route: route.continue_())


def another_page(chat: ChatPage) -> Page:
    """Another page of the same origin and browser, with nothing in it."""
    page = chat.page.context.new_page()
    page.goto(f"{chat.url}/chat.css")
    return page


def test_a_list_of_models_that_does_not_arrive(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    held = hold_models(chat.page)
    chat.page.reload()
    notice = chat.page.locator("#models-notice")
    clock = chat.page.clock
    expect(chat.picker.locator("option")).to_have_text("Loading…")
    clock.run_for(11_000)
    expect(notice).to_contain_text("Still waiting for the list of models. The server may be busy or starting.")
    clock.run_for(10_000)
    expect(notice).to_contain_text("Still waiting for the list of models. The model server responds")
    clock.run_for(50_000)
    expect(notice).to_contain_text("Can't reach the server. Check that it is on")
    expect(chat.picker.locator("option")).to_have_text("Unavailable")

    chat.press("Retry")
    expect(chat.picker.locator("option")).to_have_text("Loading…")
    clock.run_for(11_000)
    expect(notice).to_contain_text("Still waiting for the list of models.")
    release_models(chat.page)
    chat.press("Retry")
    expect(chat.picker).to_be_enabled()
    expect(notice).to_be_hidden()
    # What happens to the requests that were given up no longer matters.
    assert len(held) == 2
    for route in held:
        route.abort()
    clock.run_for(100_000)
    expect(chat.picker).to_be_enabled()
    expect(notice).to_be_hidden()


def test_a_device_that_is_back_online_requests_the_models_again(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url)
    held = hold_models(chat.page)
    chat.page.reload()
    expect(chat.picker.locator("option")).to_have_text("Loading…")
    while not held:
        chat.page.wait_for_timeout(20)
    release_models(chat.page)
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    expect(chat.picker).to_be_enabled()


def test_a_missing_model_is_reported_without_the_list(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    chat.pick("tinyllama")
    fault_proxy.fault = Fault(responses={"/api/chat": NOT_FOUND})
    held = hold_models(chat.page)
    chat.send("Who are you?")
    while not held:
        chat.page.wait_for_timeout(20)
    chat.page.clock.run_for(6000)
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model “tinyllama:latest” is not installed on this server.")


def test_a_list_of_models_that_is_cut_off(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    tags = (200, {"Content-Type": "application/json"}, '{"models":[{"name":"tiny')
    fault_proxy.fault = Fault(responses={"/api/tags": tags}, cut=("/api/tags",))
    chat = open_chat(fault_proxy.url, is_ready=False)
    expect(chat.page.locator("#models-notice")).to_contain_text("The connection was lost")
    fault_proxy.fault = Fault(responses={"/api/tags": tags})
    chat.press("Retry")
    expect(chat.page.locator("#models-notice")).to_contain_text("Another program may be running at this address")


@pytest.mark.parametrize("response", [{"body": "("}, {"status": 404}], ids=["syntax", "missing"])
def test_a_script_that_does_not_start_is_reported(
    open_chat: OpenChat, fault_proxy: FaultProxy, response: dict[str, Any]
) -> None:
    chat = open_chat(fault_proxy.url)
    notice = chat.page.locator("#not-started")
    expect(notice).to_have_count(0)
    chat.page.route("**/markdown.js", lambda route: route.fulfill(content_type="text/javascript", **response))
    chat.page.reload()
    expect(notice).to_be_hidden()
    chat.page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    expect(notice).to_be_visible()
    expect(notice).to_contain_text("This page has not started. Reload it.")


def test_storage_that_does_not_open(open_chat: OpenChat, fault_proxy: FaultProxy, sentence: str) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    other = another_page(chat)
    other.evaluate(HOLD)
    chat.open()
    notice = chat.page.locator("#notice")
    chat.page.clock.run_for(9000)
    expect(notice).to_contain_text("This browser has not opened its storage yet")
    chat.send_and_wait("Who are you?")
    expect(chat.answer).to_have_text(sentence)

    other.evaluate("held.close()")
    expect(notice).to_be_hidden()
    expect(chat.page.get_by_role("navigation").get_by_role("button", name="Who are you?")).to_be_visible()
    chat.open()
    expect(chat.answer).to_have_text(sentence)


def test_storage_that_opens_below_an_open_dialog(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.send_and_wait("Who are you?")
    chat.page.add_init_script(LATER)
    chat.page.reload()
    chat.page.get_by_role("button", name="Chat settings").click()
    chat.page.evaluate("openNow()")
    stored = chat.page.get_by_role("navigation").get_by_role("button", name="Who are you?")
    expect(stored).to_have_count(1)
    chat.page.get_by_role("dialog").get_by_label("Instructions").fill("Answer in verse.")
    chat.press("Done")
    expect(chat.page.locator(".exchange")).to_have_count(0)
    stored.click()
    expect(chat.page.locator(".user-prompt")).to_have_text(["Who are you?"])
    chat.page.get_by_role("button", name="Chat settings").click()
    expect(chat.page.get_by_role("dialog").get_by_label("Instructions")).to_have_value("")


def test_an_open_page_does_not_keep_the_storage_from_a_later_version(faulty_chat: ChatPage) -> None:
    faulty_chat.send_and_wait("Who are you?")
    assert another_page(faulty_chat).evaluate(UPGRADE) == "opened"


def test_a_damaged_chat(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    chat.send_and_wait("Who are you?")
    another_page(chat).evaluate(DAMAGE, "bent")
    chat.page.evaluate("localStorage.setItem('hearth.chat', 'bent')")
    chat.open()
    notice = chat.page.locator("#notice")
    expect(notice).to_contain_text("“Bent” can't be shown, because what this browser stored of it is damaged.")
    expect(chat.page.locator(".exchange")).to_have_count(0)

    chat.press("Who are you?")
    expect(chat.answer).to_have_text(sentence)
    chat.press("Bent")
    expect(chat.page.locator(".exchange")).to_have_count(0)
    chat.send_and_wait("Are you there?")
    chat.open()
    expect(notice).to_be_hidden()
    expect(chat.page.locator(".user-prompt")).to_have_text(["Are you there?"])


def test_notices_do_not_replace_each_other(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    fault_proxy.fault = Fault(responses={"/api/tags": (500, {}, "")})
    chat = open_chat(fault_proxy.url, is_ready=False)
    chat.page.add_init_script("delete window.indexedDB; delete Window.prototype.indexedDB;")
    chat.page.reload()
    retry = chat.page.get_by_role("button", name="Retry")
    storage = chat.page.get_by_text("This browser blocks storage")
    expect(retry).to_be_visible()
    expect(storage).to_be_visible()
    files = chat.page.locator("input[type=file]")
    files.set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(chat.page.get_by_text("“notes.png” is not a picture")).to_be_visible()
    expect(retry).to_be_visible()
    expect(storage).to_be_visible()
    fault_proxy.fault = Fault()
    retry.click()
    expect(chat.picker).to_be_enabled()
    expect(retry).to_be_hidden()
    expect(storage).to_be_visible()
