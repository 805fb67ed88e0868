"""Fixtures of the browser tests: where the page is, Debian's Chromium, and the chat page open in it.

`--url` says which deployed page to test; without it, the lab of this checkout is asked. `HEARTH_CHROMIUM` names another
browser than the `chromium` on the path. Tests that need the lab's models are skipped where these are not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.chat_page import ChatPage
from tests.browser.fault_proxy import FaultProxy, PageFiles

HERE = Path(__file__).parent
NAME = "hearth-page.local"
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

OpenChat = Callable[..., ChatPage]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", help="the chat page to test, such as http://pi.local:85 (default: this checkout's lab)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def hearth_url(pytestconfig: pytest.Config) -> str:
    """The chat page's address, without a slash at its end."""
    if told := pytestconfig.getoption("--url"):
        return str(told).rstrip("/")
    root = HERE.parent.parent
    command = [sys.executable, "-m", "lab", "status", "--json"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    url = str(json.loads(shown.stdout).get("url", "")) if shown.returncode == 0 else ""
    if not url:
        pytest.fail("no lab is up: run `python -m lab up` and deploy, or name a deployed page with --url")
    return url.rstrip("/")


class _Elsewhere(BaseHTTPRequestHandler):
    """A page of somebody else's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[int]:
    """The port of a server whose page Chromium finds at any address that ends in .example."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def chromium(elsewhere: int) -> Iterator[Browser]:
    """One headless Chromium for the whole run."""
    path = os.environ.get("HEARTH_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.fail("Chromium is missing: `apt-get install chromium`, or set HEARTH_CHROMIUM to its path")
    with sync_playwright() as playwright:
        # A name, and not the loopback, is what most people open: to browsers it is not a secure context.
        # *.test: names that a host answers to only if its settings say so.
        here = f"MAP {NAME} 127.0.0.1, MAP *.test 127.0.0.1"
        names = f"--host-resolver-rules={here}, MAP *.example 127.0.0.1:{elsewhere}"
        browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, names])
        yield browser
        browser.close()


@pytest.fixture
def open_chat(chromium: Browser) -> Iterator[OpenChat]:
    """Opens the chat page at an address in a browser context of its own, made with Playwright's context options.

    With `clock=True` a test can let the page's time pass (`page.clock`). With `is_ready=False` the page is not waited
    for until it has models to pick.
    """
    contexts: list[BrowserContext] = []

    def open_at(url: str, clock: bool = False, is_ready: bool = True, **options: Any) -> ChatPage:
        context = chromium.new_context(**options)
        contexts.append(context)
        if clock:
            context.clock.install()
        return ChatPage(context.new_page(), url).open(is_ready)

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture
def chat(open_chat: OpenChat, hearth_url: str) -> ChatPage:
    """The chat page, straight from the lab."""
    return open_chat(hearth_url)


@pytest.fixture(scope="session")
def page_files() -> PageFiles:
    """The page's own files, asked of the lab once."""
    return {}


@pytest.fixture
def fault_proxy(hearth_url: str, page_files: PageFiles) -> Iterator[FaultProxy]:
    """A bad network in front of the lab; does nothing bad until its `fault` is set."""
    with FaultProxy(hearth_url, page_files) as proxy:
        yield proxy


@pytest.fixture
def faulty_chat(open_chat: OpenChat, fault_proxy: FaultProxy) -> ChatPage:
    """The chat page as seen through `fault_proxy`."""
    return open_chat(fault_proxy.url)


@pytest.fixture(scope="session")
def sentence() -> str:
    """What the lab's tinyllama answers to everything."""
    from lab.models import TINYLLAMA_SENTENCE

    return TINYLLAMA_SENTENCE
