"""Accessibility of the chat page: keyboard operation, roles, contrast (axe-core)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.chat_page import ANSWER_MS, ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy

MARKDOWN = b"hardware\\n\\n# Head\\n\\n- a `b` [c](https://d.example)\\n\\n> quote\\n\\n```sh\\nls\\n```\\n\\nso"


def violations(chat: ChatPage) -> list[str]:
    """The violations of any impact that axe finds in the page's current state, in light and dark mode."""
    found: list[str] = []
    for colors in ("light", "dark"):
        chat.page.emulate_media(color_scheme=colors, reduced_motion="reduce")
        for each in Axe().run(chat.page).response["violations"]:
            found += [f"{colors}: {each['impact']} {each['id']}: {node['html']}" for node in each["nodes"]]
    return found


def test_axe_finds_no_violations(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url)
    assert violations(chat) == []
    fault_proxy.fault = Fault(swap=(b"hardware", MARKDOWN))
    chat.send_and_wait("Who are you?")
    assert violations(chat) == []
    fault_proxy.fault = Fault(keep=3)
    chat.send("And now?")
    chat.wait_for("error")
    assert violations(chat) == []
    chat.page.get_by_role("button", name="Chat settings").click()
    assert violations(chat) == []
    chat.press("Done")
    fault_proxy.fault = Fault(responses={"/api/tags": (503, {}, "")})
    chat.alert.get_by_role("button", name="Troubleshoot").click()
    expect(chat.page.locator("#verdict")).to_contain_text("Fix this first", timeout=ANSWER_MS)
    assert violations(chat) == []
    chat.press("Close")
    chat.page.set_viewport_size({"width": 360, "height": 640})
    assert violations(chat) == []
    chat.page.get_by_role("button", name="Chats").click()
    # What the list covers is inert, so the page has no main landmark: acceptable.
    assert [one for one in violations(chat) if "landmark-one-main" not in one] == [], "with the list of chats open"
    chat.page.keyboard.press("Escape")
    chat.page.get_by_role("button", name="Chat settings").click()
    chat.press("Delete chat")
    expect(chat.page.get_by_role("button", name="Undo")).to_be_visible()
    assert violations(chat) == [], "after a chat was deleted"


def test_page_works_with_the_keyboard_only(faulty_chat: ChatPage) -> None:
    chat, keyboard = faulty_chat, faulty_chat.page.keyboard
    chat.pick("tinystory")
    expect(chat.prompt).to_be_focused()
    keyboard.type("tab")
    keyboard.press("Tab")
    expect(chat.page.get_by_role("button", name="Send")).to_be_focused()
    keyboard.press("Enter")
    expect(chat.page.get_by_role("button", name="Stop")).to_be_focused()
    keyboard.press("Enter")
    chat.wait_for("stopped")
    expect(chat.prompt).to_be_focused()

    # Backwards through the page: picture, the answer's buttons, the log, the chats, the top bar.
    names = []
    for _ in range(12):
        keyboard.press("Shift+Tab")
        names.append(
            chat.page.evaluate("(e => e.getAttribute('aria-label') || e.textContent || e.id)(document.activeElement)")
        )
    expected = [
        "Add a picture",
        "Edit prompt",
        "Retry",
        "Conversation",
        "Troubleshoot",
        "New chat",
        "Chats",
    ]
    assert [name for name in names if name in expected] == expected, names


def test_chats_are_managed_with_the_keyboard_only(faulty_chat: ChatPage, sentence: str) -> None:
    chat, keyboard = faulty_chat, faulty_chat.page.keyboard
    chat.pick("tinyllama")  # tinystory never ends
    for prompt in ("The first chat?", "The second chat?"):
        keyboard.type(prompt)
        keyboard.press("Enter")
        chat.wait_for("done")
        keyboard.press("Alt+n")
    go_to(chat, "The first chat?")
    keyboard.press("Enter")
    expect(chat.page.locator(".user-prompt")).to_have_text(["The first chat?"])

    go_to(chat, "Chat settings: name, instructions, export, delete")
    keyboard.press("Enter")
    keyboard.press("ControlOrMeta+a")
    keyboard.type("Renamed")
    keyboard.press("Escape")
    expect(chat.page.get_by_role("navigation").get_by_role("listitem").first).to_have_text("Renamed")

    go_to(chat, "Chat settings: name, instructions, export, delete")
    keyboard.press("Enter")
    go_to(chat, "Delete chat")
    keyboard.press("Enter")
    go_to(chat, "Undo")
    keyboard.press("Enter")
    expect(chat.answer).to_have_text(sentence)


def go_to(chat: ChatPage, name: str) -> None:
    """Press Tab until the element of that name has the focus; give up after 60 times."""
    for _ in range(60):
        chat.page.keyboard.press("Tab")
        if chat.page.evaluate("(e => e.ariaLabel || e.textContent)(document.activeElement)").strip() == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


def test_dialogs_return_the_focus(faulty_chat: ChatPage) -> None:
    button = faulty_chat.page.get_by_role("button", name="Chat settings")
    button.focus()
    faulty_chat.page.keyboard.press("Enter")
    expect(faulty_chat.page.get_by_label("Name", exact=True)).to_be_focused()
    faulty_chat.page.keyboard.press("Escape")
    expect(button).to_be_focused()
