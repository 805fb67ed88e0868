"""The same chat in two tabs of a browser: neither loses what was typed or answered in the other."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.long_answer import FastModel
from tests.support.proxy_rules.behaviour import wait_until

FRONT = "() => document.dispatchEvent(new Event('visibilitychange'))"


def ask(chat: ChatPage, prompt: str) -> None:
    chat.send(prompt)
    chat.wait_for("done")


def another_tab(chat: ChatPage) -> ChatPage:
    """A second tab, which shows the chat that was opened last."""
    return ChatPage(chat.page.context.new_page(), chat.url).open()


def chats(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("navigation").get_by_role("listitem")


def stored(chat: ChatPage) -> list[list[str]]:
    """The prompts of each stored chat, newest chat first, as a new tab shows them."""
    other = another_tab(chat)
    found = []
    for number in range(chats(other).count()):
        chats(other).nth(number).get_by_role("button").click()
        expect(chats(other).nth(number).get_by_role("button")).to_have_attribute("aria-current", "true")
        found.append(other.page.locator(".user-prompt").all_inner_texts())
    other.page.close()
    return found


def rename(chat: ChatPage, name: str) -> None:
    chat.page.get_by_role("button", name="Chat settings").click()
    chat.page.get_by_role("dialog").get_by_label("Name").fill(name)
    chat.press("Done")


def test_prompts_in_both_tabs(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    one = open_chat(model.url)
    ask(one, "First?")
    other = another_tab(one)
    expect(other.page.locator(".user-prompt")).to_have_text(["First?"])
    ask(one, "Second, here?")
    ask(other, "Second, there?")
    message = "This chat was also changed in another tab. This tab's version is now a chat of its own."
    expect(other.page.locator("#notice")).to_contain_text(message)
    expect(one.page.locator("#notice")).to_be_hidden()
    ask(one, "Third?")
    ask(other, "Third, there?")
    versions = [["First?", "Second, here?", "Third?"], ["First?", "Second, there?", "Third, there?"]]
    assert sorted(stored(one)) == versions


def test_a_setting_in_the_other_tab(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    one = open_chat(model.url)
    ask(one, "First?")
    other = another_tab(one)
    ask(one, "Second?")
    rename(other, "Renamed")
    expect(other.page.locator("#notice")).to_contain_text("also changed in another tab")
    expect(chats(other)).to_have_text(["Renamed", "First?"])
    assert stored(one) == [["First?"], ["First?", "Second?"]]


def test_a_chat_that_was_deleted_in_the_other_tab(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    one = open_chat(model.url)
    ask(one, "First?")
    other = another_tab(one)
    other.page.get_by_role("button", name="Chat settings").click()
    other.press("Delete chat")
    expect(chats(other)).to_have_count(0)
    ask(one, "Second?")
    message = "This chat was deleted outside this tab. This tab's version is now a chat of its own."
    expect(one.page.locator("#notice")).to_contain_text(message)
    other.press("Undo")
    expect(chats(other)).to_have_count(2)
    expect(other.page.locator("#notice")).to_be_hidden()
    assert sorted(stored(one)) == [["First?"], ["First?", "Second?"]]


def test_a_tab_that_comes_to_the_front_is_up_to_date(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    one = open_chat(model.url)
    ask(one, "First?")
    other = another_tab(one)
    other.prompt.fill("My next prompt")
    ask(one, "Second?")
    expect(other.page.locator(".user-prompt")).to_have_text(["First?"])
    other.page.evaluate(FRONT)
    expect(other.page.locator(".user-prompt")).to_have_text(["First?", "Second?"])
    expect(other.prompt).to_have_value("My next prompt")
    ask(other, "Third?")
    expect(other.page.locator("#notice")).to_be_hidden()
    assert stored(one) == [["First?", "Second?", "Third?"]]


def test_an_answer_that_is_still_streaming_in_the_other_tab(open_chat: OpenChat, model: FastModel) -> None:
    model.answer, model.rate = "word " * 2000, 20
    one = open_chat(model.url)
    one.send("First?")
    one.wait_for_words(3)
    other = another_tab(one)
    expect(other.status).to_have_text("Interrupted, or still being answered in another tab")
    one.page.reload()
    expect(one.status).to_have_text("Interrupted: the page was closed")


@pytest.mark.parametrize("closed", ["at-once", "later"])
def test_a_tab_that_is_closed_during_its_answer(open_chat: OpenChat, model: FastModel, closed: str) -> None:
    """At once: before it has stored anything after the change in the other tab."""
    model.answer, model.rate = "word " * 2000, 20
    one = open_chat(model.url, clock=True)
    one.send("First?")
    one.wait_for_words(3)
    one.page.clock.pause_at(one.page.evaluate("Date.now()") / 1000 + 1)
    other = another_tab(one)
    rename(other, "Renamed")
    expect(chats(other)).to_have_text(["Renamed"])
    if closed == "later":
        one.page.clock.run_for(4000)
        expect(one.page.locator("#notice")).to_contain_text("also changed in another tab")
    one.page.reload()
    wait_until(lambda: sorted(chats(one).all_inner_texts()) == ["First?", "Renamed"], 10)
    assert stored(one) == [["First?"]] * 2
