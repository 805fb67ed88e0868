"""Pages of other origins that call the API: which responses the browser lets them read."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Browser

LISTED = "http://listed.example:8080"  # in inventory/lab.py
UNLISTED = "http://unlisted.example:8080"

CALL = """
  async ([path, content]) => {
    try {
      const response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": content },
        body: JSON.stringify({ model: "tinyllama", prompt: "Who are you?", options: { num_predict: 3 } }),
      });
      return { status: response.status, last: (await response.text()).trim().split("\\n").pop() };
    } catch (error) {
      return { refused: error.name };
    }
  }
"""


def call_from(chromium: Browser, origin: str, url: str, content: str = "application/json") -> dict[str, Any]:
    """The result of a request to `url` from a page at `origin`."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{origin}/")
    result: dict[str, Any] = page.evaluate(CALL, [url, content])
    context.close()
    return result


def test_a_listed_origin_gets_the_answer(chromium: Browser, hearth_url: str) -> None:
    headers = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
    preflight = urllib.request.Request(f"{hearth_url}/api/ollama", headers=headers, method="OPTIONS")
    with urllib.request.urlopen(preflight, timeout=30) as response:
        if response.headers["Access-Control-Allow-Origin"] != LISTED:
            pytest.skip(f"{LISTED} is not in that host's allowed_origins")
    result = call_from(chromium, LISTED, f"{hearth_url}/api/ollama")
    assert result["status"] == 200, result
    assert '"done":true' in result["last"]


@pytest.mark.parametrize("content", ["application/json", "text/plain"], ids=["preflight", "no-preflight"])
def test_an_unlisted_page_is_refused_by_the_browser(chromium: Browser, hearth_url: str, content: str) -> None:
    assert call_from(chromium, UNLISTED, f"{hearth_url}/api/ollama", content) == {"refused": "TypeError"}
