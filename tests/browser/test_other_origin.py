"""Pages on other addresses that call the API: what the browser lets them read."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Browser

LISTED = "http://listed.example:8080"  # in inventory/lab.py
STRANGER = "http://stranger.example:8080"

CALL = """
  async ([path, content]) => {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": content },
        body: JSON.stringify({ model: "tinyllama", prompt: "Who are you?", options: { num_predict: 3 } }),
      });
      return { status: answer.status, last: (await answer.text()).trim().split("\\n").pop() };
    } catch (error) {
      return { refused: error.name };
    }
  }
"""


def call_from(chromium: Browser, origin: str, url: str, content: str = "application/json") -> dict[str, Any]:
    """What a page at `origin` gets when it asks `url`."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{origin}/")
    told: dict[str, Any] = page.evaluate(CALL, [url, content])
    context.close()
    return told


def test_a_listed_page_gets_its_answer(chromium: Browser, hearth_url: str) -> None:
    asked = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
    preflight = urllib.request.Request(f"{hearth_url}/api/ollama", headers=asked, method="OPTIONS")
    with urllib.request.urlopen(preflight, timeout=30) as answer:
        if answer.headers["Access-Control-Allow-Origin"] != LISTED:
            pytest.skip(f"{LISTED} is not among the allowed_origins there")
    told = call_from(chromium, LISTED, f"{hearth_url}/api/ollama")
    assert told["status"] == 200, told
    assert '"done":true' in told["last"]


@pytest.mark.parametrize("content", ["application/json", "text/plain"], ids=["preflight", "no-preflight"])
def test_an_unlisted_page_is_refused_by_the_browser(chromium: Browser, hearth_url: str, content: str) -> None:
    assert call_from(chromium, STRANGER, f"{hearth_url}/api/ollama", content) == {"refused": "TypeError"}
