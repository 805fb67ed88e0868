"""The chat page in Chromium, served by the deployed lab and answered by its Ollama."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ANSWER_MS, ChatPage
from tests.browser.conftest import OpenChat

PHONE = {"width": 360, "height": 640}
IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"


def test_loads_cleanly_and_lists_the_models(chat: ChatPage) -> None:
    page = chat.page
    assert page.title()
    assert page.get_by_role("heading", level=1).inner_text() == page.title()
    assert "tinyllama" in chat.picker.locator("option").all_inner_texts()
    assert chat.console == []
    assert chat.watched("violations") == []
    assert [url for url in chat.requested if not url.startswith(f"{chat.url}/")] == []


def test_puts_nothing_on_window(chat: ChatPage, hearth_url: str) -> None:
    ours = set(chat.page.evaluate("Object.keys(window)"))
    chat.page.goto(f"{hearth_url}/chat.css")
    assert ours - set(chat.page.evaluate("Object.keys(window)")) == set()


def test_words_appear_one_by_one(chat: ChatPage, sentence: str) -> None:
    chat.pick("tinyllama")
    chat.ask("Who are you?")
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)

    seen = chat.seen()
    assert len(seen) >= len(sentence.split()) // 3, seen  # two words may share one frame of a busy machine
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(seen)), seen
    assert seen[-1].at - seen[0].at > 50, seen
    assert chat.statuses()[0].startswith("Loading the model or reading the prompt…")
    assert "tokens per second" in chat.status.inner_text()
    expect(chat.page.get_by_role("status").filter(has_text=sentence)).to_have_count(1)
    assert chat.console == []


def test_earlier_exchanges_stay_and_shift_enter_is_a_new_line(chat: ChatPage, sentence: str) -> None:
    chat.pick("tinyllama")
    chat.ask("First?")
    chat.wait_for("done")
    chat.prompt.press_sequentially("Second,")
    chat.prompt.press("Shift+Enter")
    chat.prompt.press_sequentially("in two lines?")
    chat.page.get_by_role("button", name="Send").click()
    expect(chat.page.locator(".exchange")).to_have_count(2)
    chat.wait_for("done")
    assert chat.page.locator(".asked").all_inner_texts() == ["First?", "Second,\nin two lines?"]
    assert chat.page.locator(".text").all_inner_texts() == [sentence, sentence]
    expect(chat.prompt).to_have_value("")


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_ends_the_generation_and_keeps_the_text(chat: ChatPage, sentence: str, by: str) -> None:
    chat.pick("tinystory")
    chat.ask("Tell me a story that never ends.")
    chat.wait_for_words(6)
    story = chat.page.locator(".exchange").first
    if by == "button":
        chat.page.get_by_role("button", name="Stop").click()
    else:
        chat.page.keyboard.press(by)
    chat.wait_for("stopped")
    expect(chat.status).to_have_text("Stopped")
    kept = chat.answer.inner_text()

    # The model is free again: with one answer at a time, the next one could not come while the story went on.
    chat.pick("tinyllama")
    chat.ask("Are you free?")
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)
    assert story.locator(".text").inner_text() == kept
    assert len(kept.split()) >= 6


def test_the_model_is_remembered(chat: ChatPage) -> None:
    chat.pick("tinystory")
    chat.page.reload()
    expect(chat.picker).to_be_enabled()
    expect(chat.picker.locator("option:checked")).to_have_text("tinystory")
    chat.page.evaluate("localStorage.setItem('hearth.model', 'gone:latest')")
    chat.page.reload()
    expect(chat.picker).to_be_enabled()
    assert chat.picker.locator("option:checked").inner_text() in ("tinyllama", "tinystory")


def test_a_model_that_is_gone_is_named_and_leaves_the_picker(chat: ChatPage, sentence: str) -> None:
    chat.page.evaluate("document.getElementById('model').append(new Option('gone', 'gone:latest'))")
    chat.pick("gone")
    chat.ask("Are you there?")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model “gone:latest” is not on this server. Pick another one")
    expect(chat.alert).to_contain_text("ollama_models")
    expect(chat.picker.locator("option", has_text="gone")).to_have_count(0)

    chat.pick("tinyllama")
    chat.alert.get_by_role("button", name="Ask again").click()
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)
    assert chat.page.locator(".asked").all_inner_texts() == ["Are you there?"]


def test_works_by_keyboard_alone(chat: ChatPage) -> None:
    expect(chat.prompt).to_be_focused()
    chat.page.keyboard.type("tab")
    chat.page.keyboard.press("Tab")
    expect(chat.page.get_by_role("button", name="Send")).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("button", name="Stop")).to_be_focused()
    chat.page.keyboard.press("Enter")
    chat.wait_for("stopped")
    expect(chat.prompt).to_be_focused()


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_fits_a_phone(open_chat: OpenChat, hearth_url: str, colors: str) -> None:
    chat = open_chat(hearth_url, viewport=PHONE, is_mobile=True, has_touch=True, color_scheme=colors)
    chat.pick("tinyllama")
    chat.ask("Unbreakable" * 40)
    chat.wait_for("done")
    wide = "[document.documentElement.scrollWidth, document.getElementById('log').scrollWidth]"
    assert chat.page.evaluate(wide) == [PHONE["width"], PHONE["width"]]
    for target in (chat.prompt, chat.picker, chat.page.get_by_role("button", name="Send")):
        box = target.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
        assert box["height"] >= 40  # a finger


@pytest.mark.skipif("HEARTH_SCREENSHOTS" not in os.environ, reason="set HEARTH_SCREENSHOTS to renew docs/images")
def test_screenshot(open_chat: OpenChat, hearth_url: str, sentence: str) -> None:
    chat = open_chat(hearth_url, viewport={"width": 960, "height": 600}, color_scheme="light")
    chat.pick("tinyllama")
    chat.ask("Who are you, and where do you live?")
    chat.wait_for("done")
    chat.pick("tinystory")
    chat.ask("Tell me a story by the fire.")
    chat.wait_for_words(24)
    IMAGES.mkdir(parents=True, exist_ok=True)
    chat.page.screenshot(path=IMAGES / "chat-page.png")
    chat.page.keyboard.press("Escape")
    expect(chat.last).to_have_attribute("data-state", "stopped", timeout=ANSWER_MS)
    expect(chat.page.locator(".text").first).to_have_text(sentence)
