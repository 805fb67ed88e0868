"""The chat page against the deployed host, for tests that read its log or change its settings."""

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
# Replaces words of tinyllama with markup of the same length in bytes, which keeps the file's lengths valid.
MARKUP = "<img src=x onerror=alert(1)>"
SWAPS = [("▁streamed", "<img src=x "), ("▁through", "onerror=al"), ("▁Apache", "ert(1)>ok")]


@pytest.mark.parametrize("by", ["button", pytest.param("Escape", marks=LONG), pytest.param("closed page", marks=LONG)])
def test_stop_cancels_the_generation(open_chat: OpenChat, by: str) -> None:
    chat = open_chat(url())
    chat.pick("tinystory")
    chat.send("Tell me a story that never ends.")
    chat.wait_for_words(6)
    before = ended_requests()
    if by == "button":
        chat.press("Stop")
    elif by == "Escape":
        chat.page.keyboard.press("Escape")
    else:
        chat.page.close()
    wait_until(lambda: ended_requests() > before, 60, "Ollama's log shows the end of the request")


def ended_requests() -> int:
    """The number of ended requests in Ollama's log, which gets a line when an answer ends or its client disconnects.

    tinystory never ends on its own.
    """
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
    chat.send("Who are you?")
    chat.wait_for("done")
    assert MARKUP in chat.answer.inner_text()
    assert chat.answer.locator("*:not(p)").count() == 0
    assert (chat.console, chat.recorded("violations")) == ([], [])
    # Even if it became an element, the policy would block its script.
    chat.page.evaluate("markup => { document.body.insertAdjacentHTML('beforeend', markup); }", f"{MARKUP[:-1]} id=it>")
    expect(chat.page.locator("#it")).to_be_attached()
    wait_until(lambda: "script-src-attr inline" in chat.recorded("violations"), 30, "the policy blocked it")


def _hex(text: str) -> str:
    return "".join(f"\\\\x{byte:02x}" for byte in text.encode())


def test_ollama_rejects_a_page_that_the_proxy_accepts(chromium: Browser) -> None:
    """Hearth's origin: a page on port 85 that calls port 11434 gets a CORS error; the proxy's route works."""
    run = deploy('ollama_publish="0.0.0.0:11434"')
    assert run.code == 0, run.output
    # By host name, as users open their Pi: Ollama accepts pages of localhost and of the loopback address.
    page_url = url().replace(urlsplit(url()).hostname or "", NAME)
    direct = f"http://{NAME}:{lab.status().forwards['11434']}/api/generate"
    # Such a page had no policy that blocks requests to other addresses.
    page = chromium.new_context(bypass_csp=True).new_page()
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.goto(f"{page_url}/")
    assert page.evaluate(CALL, [direct, "application/json"]) == {"refused": "TypeError"}
    assert any("blocked by CORS policy" in line for line in console), console
    assert re.search(r"\| 403 \|.*OPTIONS.*/api/generate", on_guest(LOG)), "Ollama did not reject the request"
    result = page.evaluate(CALL, ["/api/ollama", "application/json"])
    assert result["status"] == 200
    assert '"done":true' in result["last"]
    # Hearth's page can't even send the request.
    page = chromium.new_context().new_page()
    page.goto(f"{page_url}/")
    page.on("console", lambda message: console.append(message.text))
    assert page.evaluate(CALL, [direct, "application/json"]) == {"refused": "TypeError"}
    assert any("Content Security Policy" in line for line in console), console
    page.context.close()
