"""The next prompt, while it is typed: it is neither lost nor sent without its pictures."""

from __future__ import annotations

import base64

import pytest
from playwright.sync_api import Route, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.long_answer import FastModel

PIXEL = base64.b64decode("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")
# Large pictures take a phone seconds: here, until the test calls release().
SLOW = """() => {
  const create = window.createImageBitmap;
  const released = new Promise((resolve) => { window.release = resolve; });
  window.createImageBitmap = (file) => released.then(() => create(file));
}"""


@pytest.fixture
def chat(open_chat: OpenChat, model: FastModel) -> ChatPage:
    """The page with one chat: a prompt and its answer."""
    model.answer = "Yes."
    page = open_chat(model.url)
    ask(page, "First?")
    return page


def ask(chat: ChatPage, prompt: str) -> None:
    chat.send(prompt)
    chat.wait_for("done")


def attach(chat: ChatPage) -> None:
    files = chat.page.locator("input[type=file]")
    files.set_input_files({"name": "pixel.gif", "mimeType": "image/gif", "buffer": PIXEL})


def sent_pictures(model: FastModel) -> int:
    """The number of pictures of the newest prompt."""
    messages = model.prompts[-1]["messages"]
    assert isinstance(messages, list)
    return len(messages[-1].get("images", []))


@pytest.mark.parametrize("draft", ["", "An older draft"])
def test_what_is_typed_while_the_page_starts(chat: ChatPage, draft: str) -> None:
    chat.prompt.fill(draft)
    held: list[Route] = []
    chat.page.route("**/chat.js", lambda route: held.append(route))
    chat.page.goto(chat.url, wait_until="commit")
    chat.prompt.fill("Typed early")
    for route in held:
        route.continue_()
    expect(chat.picker).to_be_enabled()
    expect(chat.prompt).to_have_value("Typed early")


@pytest.mark.parametrize("end", ["Cancel", "Escape", "another chat"])
def test_an_edit_keeps_the_next_prompt(chat: ChatPage, end: str) -> None:
    chat.prompt.fill("My next prompt")
    attach(chat)
    picture = chat.page.get_by_role("img", name="Picture 1")
    expect(picture).to_have_count(1)
    chat.press("Edit prompt")
    expect(chat.prompt).to_have_value("First?")
    expect(picture).to_have_count(0)
    if end == "Cancel":
        chat.press(end)
    elif end == "Escape":
        chat.page.keyboard.press(end)
    else:
        chat.press("New chat")
    expect(chat.prompt).to_have_value("My next prompt")
    expect(picture).to_have_count(1)
    chat.page.reload()
    expect(chat.prompt).to_have_value("My next prompt")


def test_the_next_prompt_returns_when_the_edited_one_is_sent(chat: ChatPage) -> None:
    chat.prompt.fill("My next prompt")
    chat.press("Edit prompt")
    chat.prompt.fill("Edited?")
    chat.prompt.press("Enter")
    chat.wait_for("done")
    expect(chat.page.locator(".user-prompt")).to_have_text(["Edited?"])
    expect(chat.prompt).to_have_value("My next prompt")
    chat.prompt.press("Enter")
    chat.wait_for("done")
    expect(chat.page.locator(".user-prompt")).to_have_text(["Edited?", "My next prompt"])
    expect(chat.prompt).to_have_value("")


def test_an_edit_that_another_chat_interrupts(chat: ChatPage) -> None:
    chat.prompt.fill("My next prompt")
    chat.press("Edit prompt")
    chat.prompt.fill("First of all?")
    chat.press("New chat")
    expect(chat.prompt).to_have_value("My next prompt\n\nFirst of all?")
    expect(chat.page.get_by_text("Editing your last prompt.")).to_be_hidden()


def test_a_draft_follows_into_another_chat(chat: ChatPage, model: FastModel) -> None:
    chat.prompt.fill("What is it?")
    attach(chat)
    expect(chat.page.get_by_role("img", name="Picture 1")).to_have_count(1)
    chat.press("New chat")
    expect(chat.prompt).to_have_value("What is it?")
    expect(chat.page.get_by_role("img", name="Picture 1")).to_have_count(1)
    chat.press("Send")
    chat.wait_for("done")
    assert sent_pictures(model) == 1


def test_a_prompt_waits_for_its_picture(chat: ChatPage, model: FastModel) -> None:
    chat.page.evaluate(SLOW)
    chat.prompt.fill("What is it?")
    attach(chat)
    expect(chat.page.get_by_text("Preparing the picture.")).to_be_visible()
    expect(chat.page.get_by_role("button", name="Send")).to_be_disabled()
    chat.prompt.press("Enter")
    expect(chat.prompt).to_have_value("What is it?")
    chat.page.evaluate("release()")
    expect(chat.page.get_by_role("img", name="Picture 1")).to_have_count(1)
    expect(chat.page.get_by_text("Preparing the picture.")).to_be_hidden()
    chat.prompt.press("Enter")
    expect(chat.page.locator(".exchange")).to_have_count(2)
    chat.wait_for("done")
    assert sent_pictures(model) == 1
