"""Long and fast answers, and long chats: the page stays responsive.

The bounds are for a machine that does other things meanwhile; the figures of docs/measurements.md are those of
`python -m bench.page`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.long_answer import PIECE, FastModel
from tests.browser.test_access import violations
from tests.support.gguf_files import ANSWER, THOUGHTS
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.shipped import PROJECT

LIST = "".join(f"- Item {number} of a **long** list with `code` and some more words\n" for number in range(4000))
# Records the time between frames, in ms.
FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const note = () => {
    const now = performance.now();
    frames_.push(now - last);
    last = now;
    requestAnimationFrame(note);
  };
  requestAnimationFrame(note);
}"""
# Presses Stop, and returns the ms until the page shows that.
STOP = """() => new Promise((resolve) => {
  const begun = performance.now();
  document.getElementById("stop").click();
  const check = () => document.querySelector(".exchange[data-state=stopped]")
    ? resolve(performance.now() - begun) : requestAnimationFrame(check);
  check();
})"""
# Stores chats as the page does; the first one gets `turns` turns.
STORE = """([chats, turns]) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("hearth", 1);
  opening.onsuccess = () => {
    const write = opening.result.transaction(["heads", "chats"], "readwrite");
    for (let number = 0; number < chats; number++) {
      const head = { id: `c${number}`, title: `Chat ${number}`, changed: number };
      const turn = (at) => ({ question: `Prompt ${at}?`, images: [], answer: `**Answer** ${at}\\n\\n- one\\n- two`,
        thinking: "", model: "fast:latest", state: "done", note: "", error: null });
      write.objectStore("heads").put(head);
      write.objectStore("chats").put({ ...head, model: "", system: "", temperature: null,
        turns: [...Array(number ? 1 : turns).keys()].map(turn) });
    }
    localStorage.setItem("hearth.chat", "c0");
    write.oncomplete = resolve;
    write.onerror = reject;
  };
})"""
# The ms from the start of navigation until the last turn is shown, as the page itself sees it.
OPENED = """() => { const check = () => document.querySelector(".exchange:last-child .text p")
  ? (window.opened = performance.now()) : requestAnimationFrame(check); check(); }"""


def frames(chat: ChatPage) -> list[float]:
    found: list[float] = sorted(chat.page.evaluate("() => window.frames_"))
    print(f"\nframes: {len(found)}, median {found[len(found) // 2]:.0f} ms, longest {found[-1]:.0f} ms")
    return found


@pytest.mark.parametrize("throttle", [1, 6])
def test_a_fast_answer_does_not_freeze_the_page(open_chat: OpenChat, model: FastModel, throttle: int) -> None:
    chat = open_chat(model.url)
    model.answer, model.rate = LIST[: 24 * 1024], 60
    session = chat.page.context.new_cdp_session(chat.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    # The page's own processor time, which does not depend on what else the machine does.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration") * 1000

    before = busy()
    chat.page.evaluate(FRAMES)
    chat.send("A long list, please.")
    chat.wait_for("done")
    each = (busy() - before) / (len(model.answer) / PIECE)
    frames(chat)
    print(f"processor time for each piece: {each:.1f} ms")
    # 13 ms and growing, without throttle, when each piece drew the whole list again.
    assert each < (10 if throttle == 1 else 30)
    assert chat.answer.locator("li").count() == model.answer.count("\n") + 1


def test_a_large_answer_at_once_is_drawn_in_pieces(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer = LIST[: 190 * 1024]
    chat.page.evaluate(FRAMES)
    chat.send("All of it.")
    chat.wait_for("done")
    found = frames(chat)
    assert len(found) > 20  # one, of 40 s, when all was drawn at once
    assert found[-1] < 20_000, "less than a second, if nothing else needs the processors"
    assert chat.answer.inner_text().rstrip().endswith(model.answer.rstrip()[-5:].rstrip("`*"))


def count_drawn(found: Locator) -> int:
    script = "all => all.filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length"
    count: int = found.evaluate_all(script)
    return count


def test_what_is_out_of_view_is_not_drawn_but_is_there(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer = "".join(f"{number}. Item\n" for number in range(1, 1201)) + "\n" + "One more.\n\n" * 600
    chat.send("A long list, please.")
    chat.wait_for("done")
    items, paragraphs = chat.answer.locator("li"), chat.answer.locator("p:not(li *)")
    assert (items.count(), paragraphs.count()) == (1200, 600)
    # The browser decides after it has drawn, and adds some screens above and below.
    wait_until(lambda: count_drawn(items) < 600 and count_drawn(paragraphs) < 300, 30)
    expect(chat.answer.locator("p").last).to_be_in_viewport()
    assert violations(chat) == [], "grouped items are still items of a list"
    copied = "(text) => { getSelection().selectAllChildren(text); return getSelection().toString() }"
    lines = chat.answer.evaluate(copied).split()
    assert (lines.count("Item"), lines.count("more.")) == (1200, 600)


def test_stop_is_immediate(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer, model.rate = LIST, 60
    chat.send("Never mind.")
    chat.page.wait_for_timeout(3000)
    milliseconds = chat.page.evaluate(STOP)
    print(f"\nstopped after {milliseconds:.0f} ms")
    assert milliseconds < 1000


def test_what_a_hidden_tab_has_not_drawn_is_stored_when_it_is_closed(open_chat: OpenChat, model: FastModel) -> None:
    model.answer, model.rate = "word " * 2000, 30
    chat = open_chat(model.url, clock=True)
    chat.send("Go on.")
    chat.wait_for_words(1)
    # Without frames and timers, as almost in a tab that has been hidden for minutes.
    chat.page.clock.pause_at(chat.page.evaluate("Date.now()") / 1000 + 1)
    shown, read = len(chat.answer.inner_text()), len(chat.recorded("reads"))
    wait_until(lambda: len(chat.recorded("reads")) > read + 20, 20)
    assert len(chat.answer.inner_text()) == shown, "it was drawn: nothing was tested"
    chat.page.evaluate("() => { dispatchEvent(new PageTransitionEvent('pagehide')) }")
    later = ChatPage(chat.page.context.new_page(), chat.url).open()
    expect(later.status).to_have_text("Interrupted: the page was closed")
    assert len(later.answer.inner_text()) > shown + 20 * PIECE / 2


def test_many_chats_and_a_long_one_open_quickly(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    chat.page.evaluate(STORE, [500, 1000])
    chat.page.add_init_script(f"addEventListener('DOMContentLoaded', {OPENED})")
    chat.open()
    chat.page.wait_for_function("() => window.opened")
    milliseconds = chat.page.evaluate("() => window.opened")
    print(f"\nopened after {milliseconds:.0f} ms")
    assert milliseconds < 4000
    expect(chat.page.locator(".chat")).to_have_count(500)
    # The older turns follow, and the end stays in view.
    expect(chat.page.locator(".exchange")).to_have_count(1000, timeout=60_000)
    expect(chat.last).to_be_in_viewport()
    assert chat.page.locator(".user-prompt").first.text_content() == "Prompt 0?"


def test_thoughts_in_the_text_are_shown_as_thoughts_and_not_sent_back(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer = "<think>\nFirst I consider this.\n</think>\n\nThe answer."
    chat.send("Think.")
    chat.wait_for("done")
    assert chat.answer.inner_text() == "The answer."
    assert "First I consider this." in str(chat.last.locator("details").text_content())
    chat.send("Again.")
    chat.wait_for("done")
    assert "consider" not in str(model.prompts[-1]["messages"])


def test_thoughts_that_ollama_separates_are_shown_as_thoughts(open_chat: OpenChat, model: FastModel) -> None:
    """With the stream of a real Ollama, which tests/proxy/test_thinking.py compares with this record."""
    chat = open_chat(model.url)
    model.stream = (PROJECT / "tests/support/recorded/thinking.ndjson").read_text()
    chat.send("Think.")
    chat.wait_for("done")
    assert chat.answer.inner_text().strip() == ANSWER
    assert THOUGHTS in str(chat.last.locator("details").text_content())
    expect(chat.last.locator("details")).to_be_visible()
    expect(chat.last.locator(".status")).to_contain_text("tokens in")
    chat.send("Again.")
    chat.wait_for("done")
    assert THOUGHTS not in str(model.prompts[-1]["messages"])


def test_thinking_can_be_switched_off_where_the_model_has_it(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer = "Yes."
    chat.send("One.")
    chat.wait_for("done")
    assert "think" not in model.prompts[-1]
    chat.page.locator("#open-settings").click()
    chat.page.get_by_label("Let the model think before it answers").uncheck()
    chat.press("Done")
    chat.send("Two.")
    chat.wait_for("done")
    assert model.prompts[-1]["think"] is False


def test_a_chat_that_nears_its_context_gets_a_warning_and_a_cure(open_chat: OpenChat, model: FastModel) -> None:
    chat = open_chat(model.url)
    model.answer = "Yes."
    for prompt in ("One.", "Two.", "Three."):
        chat.send(prompt)
        chat.wait_for("done")
    note = chat.page.locator("#context-note")
    expect(note).to_contain_text("about 3500 of the 4096 tokens")
    model.error = "the input length exceeds the context length"
    chat.send("Four.")
    chat.wait_for("error")
    assert model.prompts[-1]["truncate"] is False
    assert "no longer fits into the model's context" in chat.alert.inner_text()
    model.error = ""
    chat.last.get_by_role("button", name="Leave out the oldest messages").click()
    chat.wait_for("done")
    messages = model.prompts[-1]["messages"]
    assert isinstance(messages, list)
    assert [one["content"] for one in messages if one["role"] == "user"] == ["Three.", "Four."]
    assert chat.page.locator(".left-out").count() == 2
