"""The chat page without a mouse, and for those who don't see it: keyboard, roles, contrast (axe-core)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.chat_page import ANSWER_MS, ChatPage
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
    fault_proxy.fault = Fault(answers={"/api/tags": (503, {}, "")})
    chat.alert.get_by_role("button", name="What is wrong?").click()
    expect(chat.page.locator("#verdict")).to_contain_text("Put this right first", timeout=ANSWER_MS)
    assert complaints(chat) == []
    chat.press("Close")
    chat.page.set_viewport_size({"width": 360, "height": 640})
    assert complaints(chat) == []
    chat.page.get_by_role("button", name="Chats").click()
    # What is under it can't be reached meanwhile, so there is no main part of a page: nothing serious.
    assert [one for one in complaints(chat) if "landmark-one-main" not in one] == [], "the list of chats over the page"
    chat.page.keyboard.press("Escape")
    chat.page.get_by_role("button", name="This chat").click()
    chat.press("Delete this chat")
    expect(chat.page.get_by_role("button", name="Undo")).to_be_visible()
    assert complaints(chat) == [], "what was deleted can be had back"


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


def test_chats_are_kept_by_keyboard_alone(faulty_chat: ChatPage, sentence: str) -> None:
    chat, keyboard = faulty_chat, faulty_chat.page.keyboard
    chat.pick("tinyllama")  # the other one never ends
    for question in ("The first chat?", "The second chat?"):
        keyboard.type(question)
        keyboard.press("Enter")
        chat.wait_for("done")
        keyboard.press("Alt+n")
    go_to(chat, "The first chat?")
    keyboard.press("Enter")
    expect(chat.page.locator(".asked")).to_have_text(["The first chat?"])

    go_to(chat, "This chat: name, instructions, save, delete")
    keyboard.press("Enter")
    keyboard.press("ControlOrMeta+a")
    keyboard.type("Renamed")
    keyboard.press("Escape")
    expect(chat.page.get_by_role("navigation").get_by_role("listitem").first).to_have_text("Renamed")

    go_to(chat, "This chat: name, instructions, save, delete")
    keyboard.press("Enter")
    go_to(chat, "Delete this chat")
    keyboard.press("Enter")
    go_to(chat, "Undo")
    keyboard.press("Enter")
    expect(chat.answer).to_have_text(sentence)


def go_to(chat: ChatPage, name: str) -> None:
    """Press Tab until what has that name has the focus; not more often than the page has things."""
    for _ in range(60):
        chat.page.keyboard.press("Tab")
        if chat.page.evaluate("(e => e.ariaLabel || e.textContent)(document.activeElement)").strip() == name:
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_focus_comes_back_from_dialogs(faulty_chat: ChatPage) -> None:
    button = faulty_chat.page.get_by_role("button", name="This chat")
    button.focus()
    faulty_chat.page.keyboard.press("Enter")
    expect(faulty_chat.page.get_by_label("Name", exact=True)).to_be_focused()
    faulty_chat.page.keyboard.press("Escape")
    expect(button).to_be_focused()
