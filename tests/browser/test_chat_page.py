"""The chat page in Chromium, with the deployed lab's httpd and Ollama."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Request, ViewportSize, expect

from lab import smollm2
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import FaultProxy
from tests.browser.long_answer import FastModel

PHONE: ViewportSize = {"width": 360, "height": 640}
DESKTOP: ViewportSize = {"width": 1100, "height": 640}
COLORS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# For the screenshots: each in a separate chat, with another prompt in the last.
PROMPTS = (
    "Write two lines about a fire in winter.",
    "Why is the sky blue? Answer in two sentences.",
    "What is a Raspberry Pi, in one sentence?",
)
LAST_PROMPT = "What can I build with it?"
IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"


def test_loads_cleanly_and_lists_the_models(chat: ChatPage) -> None:
    page = chat.page
    assert page.title()
    assert page.get_by_role("heading", level=1).inner_text() == page.title()
    sizes = chat.picker.locator("option").all_inner_texts()
    assert all(size.endswith((" MB)", " GB)")) for size in sizes), sizes
    assert chat.console == []
    assert chat.recorded("violations") == []
    assert [url for url in chat.requested if not url.startswith(f"{chat.url}/")] == []


def test_adds_nothing_to_window(chat: ChatPage, hearth_url: str) -> None:
    ours = set(chat.page.evaluate("Object.keys(window)"))
    chat.page.goto(f"{hearth_url}/chat.css")
    assert ours - set(chat.page.evaluate("Object.keys(window)")) == set()


def test_answer_streams_word_by_word(chat: ChatPage, sentence: str) -> None:
    chat.send_and_wait("Who are you?")
    expect(chat.answer).to_have_text(sentence)

    texts = chat.texts()
    # Two words may share a frame on a busy machine, and a fast model sends several per frame.
    frames = int(texts[-1].at - texts[0].at) // 40
    assert len(texts) >= max(2, min(len(sentence.split()) // 3, frames)), texts
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(texts)), texts
    statuses = [status.partition("…")[0] for status in chat.statuses()]
    assert list(dict.fromkeys(statuses))[:3] == ["Loading tinyllama into memory", "Thinking", "Answering"]
    assert "tokens per second" in chat.status.inner_text()
    assert "s in total" in chat.status.inner_text()
    expect(chat.page.get_by_role("status").filter(has_text=sentence)).to_have_count(1)
    # Announced once and completely, not word by word.
    replies = [message for message in chat.recorded("announced") if "replied:" in message]
    assert replies == [f"tinyllama replied: {sentence}"]
    assert chat.console == []


def test_a_conversation_is_sent_and_stored(chat: ChatPage, sentence: str) -> None:
    bodies: list[dict[str, Any]] = []

    def record(request: Request) -> None:
        if request.post_data:
            bodies.append(json.loads(request.post_data))

    chat.page.on("request", record)
    chat.send_and_wait("First?")
    chat.prompt.press_sequentially("Second,")
    chat.prompt.press("Shift+Enter")
    chat.prompt.press_sequentially("in two lines?")
    chat.press("Send")
    expect(chat.page.locator(".exchange")).to_have_count(2)
    chat.wait_for("done")
    expect(chat.prompt).to_have_value("")
    assert bodies[-1]["messages"] == [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": sentence},
        {"role": "user", "content": "Second,\nin two lines?"},
    ]

    chat.page.reload()
    expect(chat.page.locator(".user-prompt")).to_have_text(["First?", "Second,\nin two lines?"])
    expect(chat.page.locator(".text")).to_have_text([sentence, sentence])
    expect(chat.page.get_by_role("navigation").get_by_role("button", name="First?")).to_be_visible()


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_ends_the_generation_and_keeps_the_text(chat: ChatPage, sentence: str, by: str) -> None:
    chat.pick("tinystory")
    chat.send("Tell me a story that never ends.")
    chat.wait_for_words(6)
    story = chat.page.locator(".exchange").first
    if by == "button":
        chat.press("Stop")
    else:
        chat.page.keyboard.press(by)
    chat.wait_for("stopped")
    expect(chat.status).to_have_text("Stopped")
    kept = chat.answer.inner_text()

    # The model is free again: it generates one answer at a time, so a running story would block the next one.
    chat.send_and_wait("Are you free?")
    expect(chat.answer).to_have_text(sentence)
    assert story.locator(".text").inner_text() == kept
    assert len(kept.split()) >= 6


def test_the_model_is_remembered(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.pick("tinystory")
    chat.page.reload()
    expect(chat.picker).to_be_enabled()
    expect(chat.picker).to_have_value("tinystory:latest")
    chat.page.evaluate("localStorage.setItem('hearth.model', 'gone:latest')")
    chat.page.reload()
    expect(chat.picker).to_be_enabled()
    assert chat.picker.input_value() in [f"{model}:latest" for model in chat.models()]


def test_a_removed_model_is_named_and_leaves_the_picker(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    installed = chat.models()
    chat.page.evaluate("document.getElementById('model').append(new Option('gone', 'gone:latest'))")
    chat.pick("gone")
    chat.send("Are you there?")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model “gone:latest” is not installed on this server (installed: “")
    for model in installed:
        expect(chat.alert).to_contain_text(f"“{model}:latest”")
    expect(chat.alert).to_contain_text("ollama_models")
    expect(chat.picker.locator("option")).to_have_count(len(installed))
    assert sorted(chat.models()) == sorted(installed)

    # Any installed model may be offered; all of the lab's answer something.
    chat.alert.get_by_role("button", name="instead").click()
    chat.page.keyboard.press("Escape")
    chat.wait_for("stopped")
    chat.pick("tinyllama")
    chat.press("Retry")
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)
    assert chat.page.locator(".user-prompt").all_inner_texts() == ["Are you there?"]


def test_fits_a_phone(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, viewport=PHONE, is_mobile=True, has_touch=True)
    chat.pick("tinyllama")
    chat.prompt.fill("Unbreakable" * 40)
    chat.press("Send")
    chat.wait_for("done")
    wide = "[document.documentElement.scrollWidth, document.getElementById('log').scrollWidth]"
    assert chat.page.evaluate(wide) == [PHONE["width"], PHONE["width"]]
    names = ("Send", "Chats", "Chat settings", "Add a picture")
    buttons = [chat.page.get_by_role("button", name=name) for name in names]
    for target in (chat.prompt, chat.picker, *buttons):
        box = target.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
        assert box["height"] >= 40  # large enough for a finger
    chat.press("Chats")
    expect(chat.page.get_by_role("navigation").get_by_role("button", name="New chat")).to_be_in_viewport(ratio=1)
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("navigation")).to_be_hidden()


def test_enter_begins_a_line_on_a_phone(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    chat = open_chat(model.url, viewport=PHONE, is_mobile=True, has_touch=True)
    chat.prompt.press_sequentially("First,")
    chat.prompt.press("Enter")
    chat.prompt.press_sequentially("in two lines?")
    chat.page.get_by_role("button", name="Send").tap()
    chat.wait_for("done")
    expect(chat.page.locator(".user-prompt")).to_have_text(["First,\nin two lines?"])
    # A keyboard of its own, such as a tablet's.
    chat.prompt.fill("Second?")
    chat.prompt.press("Control+Enter")
    expect(chat.page.locator(".exchange")).to_have_count(2)
    chat.wait_for("done")


def test_what_there_is_to_read_is_not_covered_by_a_phones_keyboard(open_chat: OpenChat, model: FastModel) -> None:
    model.answer = "Yes."
    chat = open_chat(model.url, viewport=PHONE, is_mobile=True, has_touch=True)
    chat.prompt.fill("First?")
    chat.page.get_by_role("button", name="Send").tap()
    chat.wait_for("done")
    expect(chat.prompt).not_to_be_focused()
    for button in ("Chats", "New chat"):
        chat.page.get_by_role("button", name=button, exact=True).tap()
    expect(chat.prompt).to_be_focused()
    for button in ("Chats", "First?"):
        chat.page.get_by_role("button", name=button, exact=True).tap()
    expect(chat.answer).to_have_text("Yes.")
    expect(chat.page.locator("#log")).to_be_focused()


@pytest.mark.skipif("HEARTH_SCREENSHOTS" not in os.environ, reason="set HEARTH_SCREENSHOTS to update docs/images")
def test_screenshots(open_chat: OpenChat, hearth_url: str) -> None:
    """Create the screenshots in docs/images, all of the same conversation with a real model: after `make demo`.

    Check them before you commit: the model is small, and some of its answers make no sense.
    """
    chat = open_chat(hearth_url, viewport=DESKTOP)
    chat.pick(smollm2.NAME)
    for prompt in PROMPTS:
        chat.press("New chat")
        chat.send(prompt)
        chat.wait_for("done")
    chat.send(LAST_PROMPT)
    chat.wait_for("done")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for suffix, size in (("", DESKTOP), ("-phone", PHONE)):
        chat.page.set_viewport_size(size)
        chat.page.locator("#log").evaluate("log => log.scrollTo(0, log.scrollHeight)")
        for scheme in COLORS:
            chat.page.emulate_media(color_scheme=scheme)
            chat.page.screenshot(path=IMAGES / f"chat-page{suffix}{'-dark' if scheme == 'dark' else ''}.png")
