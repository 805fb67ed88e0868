"""The chat page without a mouse, and for those who don't see it: keyboard, roles, contrast (axe-core)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy

MARKDOWN = b"hardware\\n\\n# Head\\n\\n- a `b` [c](https://d.example)\\n\\n> quote\\n\\n```sh\\nls\\n```\\n\\nso"


def complaints(chat: ChatPage) -> list[str]:
    """What axe finds on the page as it is now, by day and by night, of any weight."""
    found: list[str] = []
    for colors in ("light", "dark"):
        chat.page.emulate_media(color_scheme=colors, reduced_motion="reduce")
        for each in Axe().run(chat.page).response["violations"]:
            found += [f"{colors}: {each['impact']} {each['id']}: {node['html']}" for node in each["nodes"]]
    return found


def test_axe_finds_nothing(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url)
    assert complaints(chat) == []
    fault_proxy.fault = Fault(swap=(b"hardware", MARKDOWN))
    chat.say("Who are you?")
    assert complaints(chat) == []
    fault_proxy.fault = Fault(keep=3)
    chat.ask("And now?")
    chat.wait_for("error")
    assert complaints(chat) == []
    chat.page.get_by_role("button", name="This chat").click()
    assert complaints(chat) == []
    chat.press("Done")
    chat.page.set_viewport_size({"width": 360, "height": 640})
    assert complaints(chat) == []


def test_works_by_keyboard_alone(faulty_chat: ChatPage) -> None:
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

    # Back through the page: picture, what can be done with the answer, the log, the chats, the bar.
    names = []
    for _ in range(12):
        keyboard.press("Shift+Tab")
        names.append(
            chat.page.evaluate("(e => e.getAttribute('aria-label') || e.textContent || e.id)(document.activeElement)")
        )
    wanted = [
        "Add a picture",
        "Edit question",
        "Ask again",
        "Questions and answers",
        "What is wrong?",
        "New chat",
        "Chats",
    ]
    assert [name for name in names if name in wanted] == wanted, names


def test_focus_comes_back_from_dialogs(faulty_chat: ChatPage) -> None:
    button = faulty_chat.page.get_by_role("button", name="This chat")
    button.focus()
    faulty_chat.page.keyboard.press("Enter")
    expect(faulty_chat.page.get_by_label("Name", exact=True)).to_be_focused()
    faulty_chat.page.keyboard.press("Escape")
    expect(button).to_be_focused()
