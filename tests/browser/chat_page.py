"""The chat page for tests, as users operate it: send prompts, stop answers, and record what the page shows when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from hearth.settings.model_names import full_name

ANSWER_MS = 180_000  # a cold model on an emulated machine
PAGE_MS = 30_000

# Runs before the page's code: records what the tests check, without changing the page's behaviour.
RECORDER = """
  const recorded = window.recorded = { texts: [], status: [], reads: [], violations: [], announced: [] };
  document.addEventListener("securitypolicyviolation", (event) =>
    recorded.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  const put = (list, value, at) => { if (value && list.at(-1)?.value !== value) list.push({ value, at }); };
  new MutationObserver(() => {
    const message = document.getElementById("announcer")?.textContent;
    if (message && recorded.announced.at(-1) !== message) recorded.announced.push(message);
    const last = [...document.querySelectorAll(".exchange")].at(-1);
    if (!last) return;
    put(recorded.texts, last.querySelector(".text").textContent, performance.now());
    put(recorded.status, last.querySelector(".status").textContent, performance.now());
  }).observe(document, { subtree: true, childList: true, characterData: true });
  const splits = (bytes) => {
    try { new TextDecoder("utf-8", { fatal: true }).decode(bytes); return false; } catch { return true; }
  };
  const read = ReadableStreamDefaultReader.prototype.read;
  ReadableStreamDefaultReader.prototype.read = async function () {
    const chunk = await read.call(this);
    if (chunk.value) recorded.reads.push({ line: chunk.value.at(-1) !== 10, character: splits(chunk.value) });
    return chunk;
  };
"""


@dataclass(frozen=True)
class TextState:
    """A state of the last answer's text, and when it was shown (milliseconds since the page was opened)."""

    text: str
    at: float


class ChatPage:
    """The chat page at `url`, in `page`.

    `console`: its errors and warnings; `requested`: the URLs of its requests; `pending`: of those that have not ended.
    Without `is_recorded`, `recorded` and what uses it have nothing.
    """

    def __init__(self, page: Page, url: str, is_recorded: bool = True) -> None:
        self.page = page
        self.url = url.rstrip("/")
        self.console: list[str] = []
        self.requested: list[str] = []
        self.pending: list[str] = []
        page.set_default_timeout(PAGE_MS)
        page.on("console", lambda line: self.console.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("request", lambda request: self.pending.append(request.url))
        for event in ("requestfinished", "requestfailed"):
            page.on(event, lambda request: self.pending.remove(request.url))
        if is_recorded:
            page.add_init_script(RECORDER)

    def send_and_wait(self, prompt: str) -> None:
        """Send a prompt to the lab's tinyllama and wait for its answer."""
        self.pick("tinyllama")
        self.send(prompt)
        self.wait_for("done")

    def open(self, is_ready: bool = True) -> ChatPage:
        """Load the page and, with `is_ready`, wait until the picker offers models."""
        self.page.goto(f"{self.url}/")
        if self._was_interrupted():
            return self.open(is_ready)
        if is_ready:
            try:
                expect(self.picker).to_be_enabled(timeout=PAGE_MS)
            except AssertionError as error:
                if self._was_interrupted():
                    return self.open(is_ready)
                state = "has not started" if self.page.locator("#not-started").count() else "runs"
                error.add_note(f"the script {state}; requests without an end: {self.pending}; console: {self.console}")
                raise
        return self

    def _was_interrupted(self) -> bool:
        """Whether Chromium has dropped requests because this machine got another network interface, as other tests add
        them. Forgets it."""
        dropped = [line for line in self.console if "ERR_NETWORK_CHANGED" in line]
        self.console[:] = [line for line in self.console if line not in dropped]
        return bool(dropped)

    @property
    def picker(self) -> Locator:
        return self.page.get_by_label("Model", exact=True)

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_label("Your prompt")

    @property
    def last(self) -> Locator:
        """The newest exchange."""
        return self.page.locator(".exchange").last

    @property
    def answer(self) -> Locator:
        return self.last.locator(".text")

    @property
    def status(self) -> Locator:
        return self.last.locator(".status")

    @property
    def alert(self) -> Locator:
        return self.last.get_by_role("alert")

    def pick(self, model: str) -> None:
        """Select a model; skip the test if there is none of that name."""
        if model not in self.models():
            pytest.skip(f"needs the lab's model {model}, and {self.url} does not have it")
        self.picker.select_option(value=full_name(model))

    def models(self) -> list[str]:
        """The models in the picker, without the tag `latest`."""
        values: list[str] = self.picker.locator("option").evaluate_all("all => all.map(option => option.value)")
        return [value.removesuffix(":latest") for value in values]

    def press(self, name: str) -> None:
        """Press the last button of this name in the open dialog, otherwise on the page."""
        dialog = self.page.locator("dialog[open]")
        (dialog if dialog.count() else self.page).get_by_role("button", name=name, exact=True).last.click()

    def send(self, prompt: str) -> None:
        """Type a prompt and press Enter; does not wait for the answer."""
        before = self.page.locator(".exchange").count()
        self.prompt.fill(prompt)
        self.prompt.press("Enter")
        expect(self.page.locator(".exchange")).to_have_count(before + 1)

    def wait_for(self, state: str) -> None:
        """Wait until the newest exchange is in this state (see `exchangeView`); fail at once if it ends in another."""
        either = re.compile(f"^({state}|done|stopped|error)$")
        expect(self.last).to_have_attribute("data-state", either, timeout=ANSWER_MS)
        reached = self.last.get_attribute("data-state")
        assert reached == state, f"expected “{state}”, the page shows “{reached}”: {self.last.inner_text()}"

    def wait_for_words(self, count: int) -> None:
        """Wait until the newest answer has at least this many words."""
        pattern = rf"(\S+\s+){{{count - 1}}}\S+"
        expect(self.answer).to_have_text(re.compile(pattern), timeout=ANSWER_MS)

    def texts(self) -> list[TextState]:
        """Each different text that the newest answer has shown since the page was opened."""
        return [TextState(entry["value"], entry["at"]) for entry in self.recorded("texts")]

    def statuses(self) -> list[str]:
        return [entry["value"] for entry in self.recorded("status")]

    def recorded(self, name: str) -> list[Any]:
        values: list[Any] = self.page.evaluate("(name) => window.recorded[name]", name)
        return values
