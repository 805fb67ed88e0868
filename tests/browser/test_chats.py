"""Chats on the device: several of them, renamed, with instructions, edited, deleted and restored, exported."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NAME, OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy

# A picture of the given width, created in the browser: a PNG in base64.
PICTURE = """
  async (side) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side / 2 });
    canvas.getContext("2d").fillRect(0, 0, side / 2, side / 2);
    return canvas.toDataURL("image/png").split(",")[1];
  }
"""
SIZE = """
  async (picture) => {
    const image = new Image();
    image.src = "data:image/jpeg;base64," + picture;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
  }
"""
NO_STORAGE = "delete window.indexedDB; delete Window.prototype.indexedDB;"
# Keeps the page's connections, for a test to close.
CONNECTIONS = """
  window.connections = [];
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (...names) {
    const opening = open.apply(this, names);
    opening.addEventListener("success", () => connections.push(opening.result));
    return opening;
  };
"""
# What Safari does when the process that stores its data has ended.
LOST = """() => {
  IDBDatabase.prototype.transaction = () => { throw new DOMException("Connection lost", "UnknownError"); };
}"""
# What a damaged database may do.
NO_DELETE = """() => {
  IDBObjectStore.prototype.delete = () => { throw new DOMException("Internal error", "UnknownError"); };
}"""


def chats(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("navigation").get_by_role("listitem")


def export(chat: ChatPage, button: str) -> tuple[str, str]:
    """The name and text of the file that a button of the open dialog downloads."""
    with chat.page.expect_download() as pending:
        chat.press(button)
    download = pending.value
    return download.suggested_filename, Path(download.path()).read_text()


def settings(chat: ChatPage) -> Locator:
    chat.page.get_by_role("button", name="Chat settings").click()
    return chat.page.get_by_role("dialog")


def test_several_chats(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    chat.send_and_wait("The first chat?")
    chat.page.keyboard.press("Alt+n")
    expect(chat.page.locator(".exchange")).to_have_count(0)
    expect(chat.prompt).to_be_focused()
    chat.send_and_wait("The second chat?")
    expect(chats(chat)).to_have_text(["The second chat?", "The first chat?"])

    chats(chat).filter(has_text="first").get_by_role("button").click()
    expect(chat.page.locator(".user-prompt")).to_have_text(["The first chat?"])
    dialog = settings(chat)
    dialog.get_by_label("Name").fill("Renamed")
    chat.press("Done")
    expect(chats(chat).filter(has_text="Renamed")).to_have_count(1)

    settings(chat)
    chat.press("Delete chat")
    expect(chats(chat)).to_have_text(["The second chat?"])
    expect(chat.page.locator(".exchange")).to_have_count(0)
    chat.press("Undo")
    expect(chat.answer).to_have_text(sentence)
    expect(chats(chat)).to_have_text(["Renamed", "The second chat?"])  # then it is stored
    chat.page.reload()
    expect(chats(chat)).to_have_text(["Renamed", "The second chat?"])
    expect(chat.answer).to_have_text(sentence)


def test_no_other_chat_is_opened_below_a_dialog(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.send_and_wait("First?")
    dialog = settings(chat)
    dialog.get_by_label("Instructions").fill("Answer in verse.")
    chat.page.keyboard.press("Alt+n")
    dialog.get_by_label("Name").fill("Renamed")
    chat.press("Done")
    expect(chat.page.locator(".user-prompt")).to_have_text(["First?"])
    expect(chats(chat)).to_have_text(["Renamed"])


def test_a_partial_answer_survives_closing_the_page(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.pick("tinystory")
    chat.send("Tell me everything.")
    chat.wait_for_words(8)
    chat.page.reload()
    expect(chat.page.get_by_role("button", name="Continue")).to_be_visible()
    assert len(chat.answer.inner_text().split()) >= 8


def test_a_chat_deleted_during_its_answer_stays_deleted(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.pick("tinystory")
    chat.send("Tell me everything.")
    chat.wait_for_words(3)
    settings(chat)
    chat.press("Delete chat")
    expect(chats(chat)).to_have_count(0)
    chat.send_and_wait("Are you free?")
    expect(chats(chat)).to_have_text(["Are you free?"])


def test_instructions_and_temperature_go_to_the_model(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    dialog = settings(faulty_chat)
    dialog.get_by_label("Instructions").fill("Answer in verse.")
    dialog.get_by_label("Temperature").fill("0.3")
    faulty_chat.press("Done")
    faulty_chat.send_and_wait("Who are you?")
    sent = fault_proxy.prompts()[-1]
    assert sent["messages"][0] == {"role": "system", "content": "Answer in verse."}
    assert sent["options"] == {"temperature": 0.3}

    faulty_chat.press("New chat")
    faulty_chat.send_and_wait("And now?")
    sent = fault_proxy.prompts()[-1]
    assert [message["role"] for message in sent["messages"]] == ["user"]
    assert "options" not in sent


def test_an_invalid_temperature_is_reported(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    dialog = settings(faulty_chat)
    field = dialog.get_by_label("Temperature")
    note = dialog.get_by_role("alert")
    field.fill("0.25")  # between two steps of the arrow keys
    expect(note).to_be_hidden()
    field.press("Tab")
    field.fill("3")
    expect(note).to_contain_text("Not saved. Enter a number from 0 to 2")
    faulty_chat.press("Done")
    dialog = settings(faulty_chat)
    expect(field).to_have_value("0.25")
    expect(note).to_be_hidden()
    faulty_chat.press("Done")
    faulty_chat.send_and_wait("Who are you?")
    assert fault_proxy.prompts()[-1]["options"] == {"temperature": 0.25}


def test_exported_files(faulty_chat: ChatPage, sentence: str) -> None:
    faulty_chat.send_and_wait("Who are you?")
    settings(faulty_chat)
    name, text = export(faulty_chat, "Export as Markdown")
    assert name == "Who-are-you.md"
    assert text == f"# Who are you?\n\n## You\n\nWho are you?\n\n## tinyllama:latest\n\n{sentence}\n"
    name, text = export(faulty_chat, "Export as JSON")
    exported: dict[str, Any] = json.loads(text)
    assert (name, exported["format"], exported["turns"][0]["answer"]) == ("Who-are-you.json", "hearth-chat-1", sentence)


def test_the_last_prompt_can_be_edited(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    chat = faulty_chat
    chat.send_and_wait("First?")
    chat.send_and_wait("Secnd?")
    chat.press("Edit prompt")
    expect(chat.prompt).to_have_value("Secnd?")
    expect(chat.page.get_by_text("Editing your last prompt.")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.prompt).to_have_value("")
    chat.press("Edit prompt")
    chat.prompt.fill("Second?")
    chat.prompt.press("Enter")
    chat.wait_for("done")
    expect(chat.page.locator(".user-prompt")).to_have_text(["First?", "Second?"])
    messages = fault_proxy.prompts()[-1]["messages"]
    assert [message["content"] for message in messages if message["role"] == "user"] == ["First?", "Second?"]


def test_pictures_are_scaled_down_and_sent(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    chat = faulty_chat
    picture = base64.b64decode(chat.page.evaluate(PICTURE, 3000))
    files = chat.page.locator("input[type=file]")
    files.set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(chat.page.get_by_role("alert")).to_contain_text("“notes.png” is not a picture")
    for number in (1, 2):
        files.set_input_files({"name": f"{number}.png", "mimeType": "image/png", "buffer": picture})
    expect(chat.page.get_by_role("alert")).to_be_hidden()
    expect(chat.page.get_by_role("img", name="Picture")).to_have_count(2)
    expect(chat.page.get_by_text("This model can't see pictures.")).to_be_visible()
    chat.press("Remove picture 1")
    chat.send_and_wait("What is it?")
    [sent] = fault_proxy.prompts()[-1]["messages"][0]["images"]
    assert base64.b64decode(sent)[:3] == b"\xff\xd8\xff"  # JPEG
    assert chat.page.evaluate(SIZE, sent) == [1280, 640]

    refusal = '{"error":"this model is missing data required for image input"}'
    fault_proxy.fault = Fault(responses={"/api/chat": (500, {}, refusal)})
    chat.press("Retry")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("can't process this picture")
    chat.page.reload()
    expect(chat.page.get_by_role("img", name="Picture 1 of the prompt")).to_be_visible()


def test_chats_are_not_stored_where_the_browser_blocks_it(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    chat.page.add_init_script(NO_STORAGE)
    chat.open()
    chat.send_and_wait("Who are you?")
    expect(chat.answer).to_have_text(sentence)
    expect(chat.page.get_by_role("alert")).to_contain_text("This browser blocks storage")


def test_a_full_storage_is_reported(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    session = chat.page.context.new_cdp_session(chat.page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": chat.url, "quotaSize": 1})
    chat.send_and_wait("Who are you?")
    expect(chat.answer).to_have_text(sentence)
    expect(chat.page.get_by_role("alert")).to_contain_text("Storage is full, so this chat won't be saved.")
    session.send("Storage.overrideQuotaForOrigin", {"origin": chat.url})
    chat.send_and_wait("Who are you?")
    expect(chat.page.locator("#notice")).to_be_hidden()


def test_a_storage_that_fails_otherwise_is_reported(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    for prompt in ("First?", "Second?"):
        chat.press("New chat")
        chat.send_and_wait(prompt)
    expect(chats(chat)).to_have_text(["Second?", "First?"])
    chat.page.evaluate(LOST)
    chats(chat).last.get_by_role("button").click()
    expect(chat.page.get_by_role("alert")).to_contain_text("could not read the stored chats. Reload the page;")
    expect(chat.page.locator(".user-prompt")).to_have_text(["Second?"])
    chat.send_and_wait("Who are you?")
    expect(chat.answer).to_have_text(sentence)
    expect(chat.page.get_by_role("alert")).to_contain_text("This chat could not be saved. Reload the page;")
    assert [line for line in chat.console if "UnknownError" in line or "Uncaught" in line] == []


def test_a_chat_that_cannot_be_deleted_is_still_saved(faulty_chat: ChatPage) -> None:
    chat = faulty_chat
    chat.send_and_wait("First?")
    chat.page.evaluate(NO_DELETE)
    settings(chat)
    chat.press("Delete chat")
    expect(chat.page.get_by_role("alert")).to_contain_text("This chat could not be deleted. Reload the page")
    expect(chat.page.get_by_role("button", name="Undo")).to_have_count(0)
    chat.send_and_wait("Second?")
    chat.page.reload()
    expect(chat.page.locator(".user-prompt")).to_have_text(["First?", "Second?"])


def test_a_database_that_the_browser_closed_is_opened_again(faulty_chat: ChatPage, sentence: str) -> None:
    chat = faulty_chat
    chat.page.add_init_script(CONNECTIONS)
    chat.open()
    close = "() => connections.at(-1).close()"
    chat.page.evaluate(close)
    chat.send_and_wait("First?")
    expect(chats(chat)).to_have_text(["First?"])
    chat.press("New chat")
    chat.page.evaluate(close)
    chats(chat).get_by_role("button").click()
    expect(chat.answer).to_have_text(sentence)
    expect(chat.page.get_by_role("alert")).to_be_hidden()


def test_copying_without_a_secure_context(open_chat: OpenChat, fault_proxy: FaultProxy, sentence: str) -> None:
    """Most hosts are opened by name over http, where browsers have no `navigator.clipboard`."""
    swap = (b"hardware", b"hardware\\n```sh\\nls\\n```\\nso")
    fault_proxy.fault = Fault(swap=swap)
    chat = open_chat(f"http://{NAME}:{fault_proxy.port}")
    assert chat.page.evaluate("[isSecureContext, Boolean(navigator.clipboard)]") == [False, False]
    chat.send_and_wait("Who are you?")
    for button, copied in (
        (chat.last.locator(".code").get_by_role("button", name="Copy"), "ls"),
        (
            chat.last.get_by_role("button", name="Copy", exact=True).last,
            sentence.replace(*("hardware", "hardware\n```sh\nls\n```\nso")),
        ),
    ):
        button.click()
        expect(chat.last.get_by_role("button", name="Copied")).to_be_visible()
        chat.prompt.fill("")
        chat.prompt.press("Control+v")
        expect(chat.prompt).to_have_value(copied)
        expect(chat.last.get_by_role("button", name="Copied")).to_have_count(0)
