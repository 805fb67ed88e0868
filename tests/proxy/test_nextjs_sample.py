"""The sample of docs/samples/nextjs in a real browser: its page calls Hearth, and its server a provider through it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from lab import artefacts, client_libraries, nextjs_sample
from lab.models import TINYLLAMA_SENTENCE
from lab.progress import Stages
from tests.acceptance.api import call
from tests.proxy.address import free_address, responds
from tests.proxy.conftest import Serve
from tests.proxy.credentials import KEY
from tests.proxy.ollama import Ollama
from tests.proxy.provider import NAME, URL, Authority, from_ollama
from tests.proxy.test_providers import PROVIDER_KEY, Site
from tests.proxy.test_sign_in import chromium
from tests.proxy.upstream import Arrived, Upstream, whole
from tests.support.proxy_rules.behaviour import wait_until

__all__ = ["chromium"]  # a fixture

PORT = 3085
# Milliseconds for what takes about one second.
PATIENCE = 30_000

pytestmark = pytest.mark.browser


class Sample:
    """The sample's server, as `npm start` runs it, and Hearth as the sample's README says: the page's origin is listed,
    its browsers need no key, and the provider's route does.

    Attributes:
        origin: of the sample's page.
    """

    def __init__(self, serve: Serve, directory: Path) -> None:
        with Stages() as stages:
            self._parts = artefacts.build(("libraries", "nextjs"), stages)
        self._address = free_address(PORT)
        self.origin = f"http://{self._address}:{PORT}"
        self.authority = Authority(directory / "authority")
        self.hearth = Site(
            serve,
            directory,
            self.authority,
            proxy_access="networks",
            proxy_allowed_networks=["127.0.0.0/16"],
            proxy_users={},
            allowed_origins=[self.origin],
            proxy_providers={"paid": {"url": URL, "key": {"env": "PAID"}, "access": "api_keys"}},
        )

    @contextmanager
    def started(self) -> Iterator[None]:
        built = self._parts["nextjs"]
        node, program = client_libraries.node_of(self._parts["libraries"]), nextjs_sample.next_of(built)
        words = [str(word) for word in (node, program, "start", built, "-H", self._address, "-p", PORT)]
        environment = {
            "HEARTH_PUBLIC_URL": self.hearth.web.url,
            "CHAT_MODEL": "tinyllama",
            "HEARTH_API": f"{self.hearth.web.url}/paid/v1",
            "HEARTH_KEY": KEY,
            "TITLE_MODEL": "tinyllama",
            "NEXT_TELEMETRY_DISABLED": "1",
        }
        with subprocess.Popen(words, env=os.environ | environment, start_new_session=True) as server:
            try:
                wait_until(lambda: server.poll() is not None or responds(self._address, PORT), 60)
                assert server.poll() is None
                yield
            finally:
                server.terminate()


@pytest.fixture(scope="module")
def sample(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    one = Sample(serve_module, tmp_path_factory.mktemp("sample"))
    with one.started():
        yield one


def ask(page: Page, sample: Sample) -> None:
    page.goto(sample.origin)
    page.get_by_label("Prompt").fill("Who are you?")
    page.get_by_role("button", name="Send").click()


def test_page_chats_with_ollama_and_gets_a_title_of_a_paid_model(
    sample: Sample, chromium: Browser, ollama: Ollama
) -> None:
    web = sample.hearth.web
    web.set_names({NAME: web.address, "ollama": ollama.address})
    page = chromium.new_page()
    received: list[Response] = []
    page.on("response", lambda one: received.append(one))
    with sample.hearth.provider(sample.authority.issue(NAME), from_ollama(ollama.address, PROVIDER_KEY)) as provider:
        ask(page, sample)
        expect(page.get_by_role("heading")).to_contain_text(TINYLLAMA_SENTENCE, timeout=PATIENCE)
    expect(page.get_by_role("log")).to_contain_text(TINYLLAMA_SENTENCE)
    (request,) = provider.requests
    assert TINYLLAMA_SENTENCE in json.loads(request.body)["messages"][0]["content"]
    assert {one.url for one in received} >= {f"{web.url}/api/chat", f"{sample.origin}/title"}
    sent = [page.content()]
    for one in received:
        sent.append(f"{one.request.all_headers()} {one.all_headers()}")
        if one.request.method == "GET":  # again, since the browser does not keep all bodies
            sent.append(str(call(sample.origin, "GET", one.url.removeprefix(sample.origin)).body))
    assert any("/api/chat" in text for text in sent), "the page's own program is among them"
    for key in (KEY, PROVIDER_KEY):
        assert not [text for text in sent if key in text]
    page.close()


def test_answer_is_shown_while_it_arrives(sample: Sample, chromium: Browser) -> None:
    """The server sends the second word only after the first one is on the page."""
    is_shown = threading.Event()

    def reply(request: Arrived, connection: socket.socket) -> None:
        if b"probe" in request.body:
            whole()(request, connection)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")
        connection.sendall(b'{"message":{"content":"first"},"done":false}\n')
        is_shown.wait(60)
        connection.sendall(b'{"message":{"content":" second"},"done":false}\n')  # and nothing more: it is cut off

    web = sample.hearth.web
    web.set_names({NAME: web.address, "ollama": web.address})
    page = chromium.new_page()
    with Upstream(web.address, reply):
        # httpd remembers the real Ollama's address for a second.
        wait_until(lambda: call(web.url, "POST", "/api/chat", {"probe": 1}).json() == {"done": True}, 10)
        ask(page, sample)
        expect(page.get_by_role("log")).to_have_text("first", timeout=PATIENCE)
        is_shown.set()
        expect(page.get_by_role("log")).to_have_text("first second", timeout=PATIENCE)
        expect(page.get_by_text("the answer was cut off")).to_be_visible(timeout=PATIENCE)
    page.close()
