"""The start of the page, when the page's files are faulty."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import FaultProxy


@pytest.mark.parametrize("response", [{"body": "("}, {"status": 404}], ids=["syntax", "missing"])
def test_a_script_that_does_not_start_is_reported(
    open_chat: OpenChat, fault_proxy: FaultProxy, response: dict[str, Any]
) -> None:
    chat = open_chat(fault_proxy.url)
    notice = chat.page.locator("#not-started")
    expect(notice).to_have_count(0)
    chat.page.route("**/markdown.js", lambda route: route.fulfill(content_type="text/javascript", **response))
    chat.page.reload()
    expect(notice).to_be_hidden()
    chat.page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    expect(notice).to_be_visible()
    expect(notice).to_contain_text("This page has not started. Reload it.")
