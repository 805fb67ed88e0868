"""The chat page as a person uses it, for tests: ask, watch, stop, and see what was shown when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from hearth.models.names import full_name

ANSWER_MS = 180_000  # a cold model on an emulated machine
PAGE_MS = 30_000

# Runs before the page's own code: keeps what the tests ask about, and changes nothing of what the page does.
WATCH = """
  const watched = window.watched = { seen: [], status: [], reads: [], violations: [], announced: [] };
  document.addEventListener("securitypolicyviolation", (event) =>
    watched.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  const put = (list, value, at) => { if (value && list.at(-1)?.value !== value) list.push({ value, at }); };
  new MutationObserver(() => {
    const said = document.getElementById("announcer")?.textContent;
    if (said && watched.announced.at(-1) !== said) watched.announced.push(said);
    const last = [...document.querySelectorAll(".exchange")].at(-1);
    if (!last) return;
    put(watched.seen, last.querySelector(".text").textContent, performance.now());
    put(watched.status, last.querySelector(".status").textContent, performance.now());
  }).observe(document, { subtree: true, childList: true, characterData: true });
  const splits = (bytes) => {
    try { new TextDecoder("utf-8", { fatal: true }).decode(bytes); return false; } catch { return true; }
  };
  const read = ReadableStreamDefaultReader.prototype.read;
  ReadableStreamDefaultReader.prototype.read = async function () {
    const piece = await read.call(this);
    if (piece.value) watched.reads.push({ line: piece.value.at(-1) !== 10, character: splits(piece.value) });
    return piece;
  };
"""


@dataclass(frozen=True)
class Seen:
    """One state of the last answer's text: what it read, and when (milliseconds since the page was opened)."""

    text: str
    at: float


class ChatPage:
    """The chat page at `url`, in `page`.

    `console` gathers its errors and warnings, `requested` every address it asked for.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url.rstrip("/")
        self.console: list[str] = []
        self.requested: list[str] = []
        page.set_default_timeout(PAGE_MS)
        page.on("console", lambda said: self.console.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.add_init_script(WATCH)

    def say(self, question: str) -> None:
        """Ask the lab's tinyllama and wait for its answer."""
        self.pick("tinyllama")
        self.ask(question)
        self.wait_for("done")

    def open(self, is_ready: bool = True) -> ChatPage:
        """Load the page and wait until the models are in the picker, where there are to be any (`is_ready`)."""
        self.page.goto(f"{self.url}/")
        if is_ready:
            expect(self.picker).to_be_enabled(timeout=PAGE_MS)
        return self

    @property
    def picker(self) -> Locator:
        return self.page.get_by_label("Model", exact=True)

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_label("Your question")

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
        """Choose a model; the test is skipped where there is none of that name."""
        if model not in self.models():
            pytest.skip(f"needs the lab's model {model}, and {self.url} does not have it")
        self.picker.select_option(value=full_name(model))

    def models(self) -> list[str]:
        """The models that can be picked, as they are called without their tag."""
        values: list[str] = self.picker.locator("option").evaluate_all("all => all.map(option => option.value)")
        return [value.removesuffix(":latest") for value in values]

    def press(self, name: str) -> None:
        """Press the button of this name: of the open dialog, else of the page."""
        dialog = self.page.locator("dialog[open]")
        (dialog if dialog.count() else self.page).get_by_role("button", name=name, exact=True).last.click()

    def ask(self, question: str) -> None:
        """Type a question and press Enter; does not wait."""
        before = self.page.locator(".exchange").count()
        self.prompt.fill(question)
        self.prompt.press("Enter")
        expect(self.page.locator(".exchange")).to_have_count(before + 1)

    def wait_for(self, state: str) -> None:
        """Wait until the newest exchange is in this state (see `exchangeView`); fails at once if it ends in another."""
        either = re.compile(f"^({state}|done|stopped|error)$")
        expect(self.last).to_have_attribute("data-state", either, timeout=ANSWER_MS)
        reached = self.last.get_attribute("data-state")
        assert reached == state, f"expected “{state}”, the page shows “{reached}”: {self.last.inner_text()}"

    def wait_for_words(self, count: int) -> None:
        """Wait until the newest answer has at least so many words."""
        pattern = rf"(\S+\s+){{{count - 1}}}\S+"
        expect(self.answer).to_have_text(re.compile(pattern), timeout=ANSWER_MS)

    def seen(self) -> list[Seen]:
        """Each different text that the newest answer has shown since the page was opened."""
        return [Seen(entry["value"], entry["at"]) for entry in self.watched("seen")]

    def statuses(self) -> list[str]:
        return [entry["value"] for entry in self.watched("status")]

    def watched(self, what: str) -> list[Any]:
        kept: list[Any] = self.page.evaluate("(what) => window.watched[what]", what)
        return kept
