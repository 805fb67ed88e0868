"""The chat page and the browser against the deployed host, where its log must be read or its settings changed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

import lab
from tests.browser.conftest import NAME, OpenChat
from tests.browser.test_other_origin import CALL
from tests.lab.machine import deploy, on_guest, url, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]
LONG = pytest.mark.long

LOG = "sudo docker logs hearth-ollama 2>&1"
# Bytes for bytes, words of tinyllama become markup: as long, so that every length in the file stays true.
MARKUP = "<img src=x onerror=alert(1)>"
SWAPS = [("▁streamed", "<img src=x "), ("▁through", "onerror=al"), ("▁Apache", "ert(1)>ok")]


@pytest.mark.parametrize("by", ["button", pytest.param("Escape", marks=LONG), pytest.param("closed page", marks=LONG)])
def test_stop_cancels_the_generation(open_chat: OpenChat, by: str) -> None:
    chat = open_chat(url())
    chat.pick("tinystory")
    chat.ask("Tell me a story that never ends.")
    chat.wait_for_words(6)
    before = ended()
    if by == "button":
        chat.press("Stop")
    elif by == "Escape":
        chat.page.keyboard.press("Escape")
    else:
        chat.page.close()
    wait_until(lambda: ended() > before, 60, "Ollama's log shows that the question is over")


def ended() -> int:
    """How many questions are over, by Ollama's own log: it writes the line when an answer ends, or its client is gone.
    tinystory's never ends by itself."""
    return len(re.findall(r'POST +"/api/chat"', on_guest(LOG)))


def test_markup_from_a_model_is_shown_as_text(open_chat: OpenChat) -> None:
    swaps = ";".join(f"s#{_hex(old)}#{_hex(new)}#" for old, new in SWAPS)
    assert all(len(old.encode()) == len(new.encode()) for old, new in SWAPS)
    script = (
        "set -e; cd /root/.ollama; ollama show --modelfile tinyllama > /tmp/one; "
        f'LC_ALL=C sed "{swaps}" "$(sed -n "s/^FROM //p" /tmp/one)" > loud.gguf; '
        'sed "s#^FROM .*#FROM /root/.ollama/loud.gguf#" /tmp/one > /tmp/two; ollama create loud -f /tmp/two'
    )
    on_guest(f"sudo docker exec hearth-ollama bash -c '{script}' 2>&1", timeout=300)
    chat = open_chat(url())
    chat.pick("loud")
    chat.ask("Who are you?")
    chat.wait_for("done")
    assert MARKUP in chat.answer.inner_text()
    assert chat.answer.locator("*:not(p)").count() == 0
    assert (chat.console, chat.watched("violations")) == ([], [])
    # If it ever became an element, the policy would still keep its script from running.
    chat.page.evaluate("markup => { document.body.insertAdjacentHTML('beforeend', markup); }", f"{MARKUP[:-1]} id=it>")
    expect(chat.page.locator("#it")).to_be_attached()
    wait_until(lambda: "script-src-attr inline" in chat.watched("violations"), 30, "the policy refused it")


def _hex(text: str) -> str:
    return "".join(f"\\\\x{byte:02x}" for byte in text.encode())


def test_a_page_that_calls_ollama_itself_is_refused_and_one_that_calls_the_proxy_is_not(chromium: Browser) -> None:
    """How Hearth began: a page on the host's port 85 calls its port 11434, the CORS error; and what mends it."""
    run = deploy('ollama_publish="0.0.0.0:11434"')
    assert run.code == 0, run.output
    # By a name, as people call their Pi: Ollama by itself lets in pages of localhost and of the loopback's address.
    page_url = url().replace(urlsplit(url()).hostname or "", NAME)
    direct = f"http://{NAME}:{lab.status().forwards['11434']}/api/generate"
    # A page of that time had no policy that keeps it from asking elsewhere.
    page = chromium.new_context(bypass_csp=True).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{page_url}/")
    assert page.evaluate(CALL, [direct, "application/json"]) == {"refused": "TypeError"}
    assert any("blocked by CORS policy" in line for line in said), said
    assert re.search(r"\| 403 \|.*OPTIONS.*/api/generate", on_guest(LOG)), "it was Ollama that refused"
    told = page.evaluate(CALL, ["/api/ollama", "application/json"])
    assert told["status"] == 200
    assert '"done":true' in told["last"]
    # And the page as it is now can't even ask.
    page = chromium.new_context().new_page()
    page.goto(f"{page_url}/")
    page.on("console", lambda message: said.append(message.text))
    assert page.evaluate(CALL, [direct, "application/json"]) == {"refused": "TypeError"}
    assert any("Content Security Policy" in line for line in said), said
    page.context.close()
