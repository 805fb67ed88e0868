"""Signing in to the page works with the browser's dialog for name and password."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lab.models import TINYLLAMA_SENTENCE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import CHROMIUM_FLAGS
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, BEN, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("HEARTH_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.fail("Chromium is missing: `apt-get install chromium`, or set HEARTH_CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def web(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Httpd:
    secrets = write_files(tmp_path_factory.mktemp("secrets") / "httpd")
    values = {**SETTINGS, "proxy_access": "users or api_keys"}
    return serve_module(upstream=ollama.address, volumes={MOUNT: secrets}, **values)


def open_page(chromium: Browser, name: str, password: str) -> Page:
    return chromium.new_context(http_credentials={"username": name, "password": password}).new_page()


@pytest.mark.parametrize(("name", "password"), [("anna", ANNA), ("ben", BEN)])
def test_signed_in_user_can_chat(chromium: Browser, web: Httpd, name: str, password: str) -> None:
    page = open_page(chromium, name, password)
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status in (401, 403) else None)
    chat = ChatPage(page, web.url).open()
    chat.send_and_wait("Who are you?")
    assert TINYLLAMA_SENTENCE in (chat.answer.text_content() or "")
    # Prompted once, for the page; then the browser sends the password with each request.
    assert {url.removeprefix(web.url) for url in refused} <= {"/"}, refused
    page.context.close()


def test_wrong_password_is_refused(chromium: Browser, web: Httpd, ollama: Ollama) -> None:
    before = ollama.requests()
    page = open_page(chromium, "anna", "not her password")
    answer = page.goto(web.url)
    assert answer is not None
    assert answer.status == 401
    assert page.locator("#prompt").count() == 0
    assert ollama.requests() == before
    page.context.close()
