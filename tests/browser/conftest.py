"""Fixtures of the browser tests: the page's URL, Debian's Chromium, and the chat page opened in it.

Tests that use `hearth_url` need a deployed page (marker `deployed`): this checkout's lab, or `--url`. The others get
the page from a real httpd and Ollama on loopback, which is faster than an emulated machine and needs no deploy; with
`--url`, from there. `HEARTH_CHROMIUM` sets the path of the browser; the default is the `chromium` on PATH. Tests that
need the lab's models are skipped if these are missing.
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

from lab import artefacts
from lab.progress import Stages
from tests.browser.chat_page import ChatPage
from tests.browser.fault_proxy import FaultProxy, PageFiles
from tests.browser.long_answer import FastModel, fast_model
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.support.shipped import shipped_settings

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


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if "hearth_url" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.deployed)


@pytest.fixture(scope="session")
def hearth_url(pytestconfig: pytest.Config) -> str:
    """The chat page's URL, without a trailing slash."""
    if given := pytestconfig.getoption("--url"):
        return str(given).rstrip("/")
    root = HERE.parent.parent
    command = [sys.executable, "-m", "lab", "status", "--json"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    url = str(json.loads(shown.stdout).get("url", "")) if shown.returncode == 0 else ""
    if not url:
        pytest.fail("the lab is not running: run `python -m lab up` and deploy, or pass a deployed page with --url")
    return url.rstrip("/")


@pytest.fixture(scope="module")
def page_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the chat page on loopback, or of the deployed one that is given with --url; no trailing slash.

    Per module, like the Ollama of tests/proxy: a prompt that is abandoned can get one stuck (ollama#17131).
    """
    if given := pytestconfig.getoption("--url"):
        yield str(given).rstrip("/")
        return
    with Stages() as stages:
        parts = artefacts.build(("roots", "models"), stages)
    settings = shipped_settings(ollama_models=["tinyllama", "tinystory"], proxy_port=8085)
    with (
        Ollama(parts["roots"] / "ollama", tmp_path_factory.mktemp("ollama"), parts["models"]) as ollama,
        Httpd(parts["roots"] / "httpd", tmp_path_factory.mktemp("httpd"), settings, ollama.address) as httpd,
    ):
        yield httpd.url


class _Elsewhere(BaseHTTPRequestHandler):
    """A page that is not Hearth's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[int]:
    """The port of a server that Chromium uses for every host name that ends in .example."""
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
        # Most users open a host name, not the loopback address; browsers do not treat it as a secure context.
        # *.test: names that a host accepts only if its settings list them.
        local = f"MAP {NAME} 127.0.0.1, MAP *.test 127.0.0.1"
        names = f"--host-resolver-rules={local}, MAP *.example 127.0.0.1:{elsewhere}"
        browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, names])
        yield browser
        browser.close()


@pytest.fixture
def open_chat(chromium: Browser) -> Iterator[OpenChat]:
    """Open the chat page at a URL in a separate browser context, created with the given Playwright options.

    With `clock=True` a test controls the page's time (`page.clock`). With `is_ready=False` it does not wait for models
    in the picker.
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
    """The lab's chat page, without the fault proxy."""
    return open_chat(hearth_url)


@pytest.fixture(scope="session")
def page_files() -> PageFiles:
    """A cache for the page's files, which are requested from the lab once."""
    return {}


@pytest.fixture
def fault_proxy(page_url: str, page_files: PageFiles) -> Iterator[FaultProxy]:
    """A faulty network in front of httpd; it causes no faults until its `fault` is set."""
    with FaultProxy(page_url, page_files) as proxy:
        yield proxy


@pytest.fixture
def faulty_chat(open_chat: OpenChat, fault_proxy: FaultProxy) -> ChatPage:
    """The chat page, opened through `fault_proxy`."""
    return open_chat(fault_proxy.url)


@pytest.fixture
def model() -> Iterator[FastModel]:
    """The page in front of a server that answers as a test wants, without httpd and Ollama."""
    with fast_model() as server:
        yield server


@pytest.fixture(scope="session")
def sentence() -> str:
    """What the lab's tinyllama answers to every prompt."""
    from lab.models import TINYLLAMA_SENTENCE

    return TINYLLAMA_SENTENCE
