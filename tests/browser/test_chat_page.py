"""The chat page in Chromium, served by the deployed lab and answered by its Ollama."""

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

PHONE: ViewportSize = {"width": 360, "height": 640}
DESKTOP: ViewportSize = {"width": 1100, "height": 640}
COLORS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# In the pictures: each in a chat of its own, and one more in the last.
QUESTIONS = (
    "Write two lines about a fire in winter.",
    "Why is the sky blue? Answer in two sentences.",
    "What is a Raspberry Pi, in one sentence?",
)
LAST_QUESTION = "What can I build with it?"
IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"


def test_loads_cleanly_and_lists_the_models(chat: ChatPage) -> None:
    page = chat.page
    assert page.title()
    assert page.get_by_role("heading", level=1).inner_text() == page.title()
    sizes = chat.picker.locator("option").all_inner_texts()
    assert all(size.endswith((" MB)", " GB)")) for size in sizes), sizes
    assert chat.console == []
    assert chat.watched("violations") == []
    assert [url for url in chat.requested if not url.startswith(f"{chat.url}/")] == []


def test_puts_nothing_on_window(chat: ChatPage, hearth_url: str) -> None:
    ours = set(chat.page.evaluate("Object.keys(window)"))
    chat.page.goto(f"{hearth_url}/chat.css")
    assert ours - set(chat.page.evaluate("Object.keys(window)")) == set()


def test_words_appear_one_by_one(chat: ChatPage, sentence: str) -> None:
    chat.say("Who are you?")
    expect(chat.answer).to_have_text(sentence)

    seen = chat.seen()
    # Two words may share one frame of a busy machine, and a quick model says several in one.
    frames = int(seen[-1].at - seen[0].at) // 40
    assert len(seen) >= max(2, min(len(sentence.split()) // 3, frames)), seen
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(seen)), seen
    statuses = [status.partition("…")[0] for status in chat.statuses()]
    assert list(dict.fromkeys(statuses))[:3] == ["Loading tinyllama into memory", "Thinking", "Answering"]
    assert "tokens per second" in chat.status.inner_text()
    assert "s in all" in chat.status.inner_text()
    expect(chat.page.get_by_role("status").filter(has_text=sentence)).to_have_count(1)
    # Said once and whole, not word by word.
    assert [said for said in chat.watched("announced") if "says:" in said] == [f"tinyllama says: {sentence}"]
    assert chat.console == []


def test_a_conversation_is_sent_and_kept(chat: ChatPage, sentence: str) -> None:
    bodies: list[dict[str, Any]] = []

    def keep(request: Request) -> None:
        if request.post_data:
            bodies.append(json.loads(request.post_data))

    chat.page.on("request", keep)
    chat.say("First?")
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
    expect(chat.page.locator(".asked")).to_have_text(["First?", "Second,\nin two lines?"])
    expect(chat.page.locator(".text")).to_have_text([sentence, sentence])
    expect(chat.page.get_by_role("navigation").get_by_role("button", name="First?")).to_be_visible()


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_ends_the_generation_and_keeps_the_text(chat: ChatPage, sentence: str, by: str) -> None:
    chat.pick("tinystory")
    chat.ask("Tell me a story that never ends.")
    chat.wait_for_words(6)
    story = chat.page.locator(".exchange").first
    if by == "button":
        chat.press("Stop")
    else:
        chat.page.keyboard.press(by)
    chat.wait_for("stopped")
    expect(chat.status).to_have_text("Stopped")
    kept = chat.answer.inner_text()

    # The model is free again: with one answer at a time, the next one could not come while the story went on.
    chat.say("Are you free?")
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


def test_a_model_that_is_gone_is_named_and_leaves_the_picker(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    there = chat.models()
    chat.page.evaluate("document.getElementById('model').append(new Option('gone', 'gone:latest'))")
    chat.pick("gone")
    chat.ask("Are you there?")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model “gone:latest” is not on this server, which has “")
    for model in there:
        expect(chat.alert).to_contain_text(f"“{model}:latest”")
    expect(chat.alert).to_contain_text("ollama_models")
    assert sorted(chat.models()) == sorted(there)

    # Any model that there is may be the one offered; the lab's all say something.
    chat.alert.get_by_role("button", name="instead").click()
    chat.page.keyboard.press("Escape")
    chat.wait_for("stopped")
    chat.pick("tinyllama")
    chat.press("Ask again")
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)
    assert chat.page.locator(".asked").all_inner_texts() == ["Are you there?"]


def test_fits_a_phone(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, viewport=PHONE, is_mobile=True, has_touch=True)
    chat.say("Unbreakable" * 40)
    wide = "[document.documentElement.scrollWidth, document.getElementById('log').scrollWidth]"
    assert chat.page.evaluate(wide) == [PHONE["width"], PHONE["width"]]
    buttons = [chat.page.get_by_role("button", name=name) for name in ("Send", "Chats", "This chat", "Add a picture")]
    for target in (chat.prompt, chat.picker, *buttons):
        box = target.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
        assert box["height"] >= 40  # a finger
    chat.press("Chats")
    expect(chat.page.get_by_role("navigation").get_by_role("button", name="New chat")).to_be_in_viewport(ratio=1)
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("navigation")).to_be_hidden()


@pytest.mark.skipif("HEARTH_SCREENSHOTS" not in os.environ, reason="set HEARTH_SCREENSHOTS to renew docs/images")
def test_screenshots(open_chat: OpenChat, hearth_url: str) -> None:
    """The pictures of docs/images, each of the same conversation with the model that really answers: after `make demo`.

    What it answers is its own. So look at the pictures: it is small, and not all that it says makes sense.
    """
    chat = open_chat(hearth_url, viewport=DESKTOP)
    chat.pick(smollm2.NAME)
    for question in QUESTIONS:
        chat.press("New chat")
        chat.ask(question)
        chat.wait_for("done")
    chat.ask(LAST_QUESTION)
    chat.wait_for("done")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for place, size in (("", DESKTOP), ("-phone", PHONE)):
        chat.page.set_viewport_size(size)
        chat.page.locator("#log").evaluate("log => log.scrollTo(0, log.scrollHeight)")
        for scheme in COLORS:
            chat.page.emulate_media(color_scheme=scheme)
            chat.page.screenshot(path=IMAGES / f"chat-page{place}{'-dark' if scheme == 'dark' else ''}.png")
