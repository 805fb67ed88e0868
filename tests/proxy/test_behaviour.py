"""Rows of the table that need time or control, against the real httpd and the real Ollama."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import artefacts
from tests.acceptance.api import call, stream
from tests.proxy.conftest import Serve
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.upstream import Upstream, whole, words
from tests.support.proxy_rules import behaviour
from tests.support.proxy_rules.target import ProxyTarget

R = "/api/ollama"


def target_of(web: Httpd, ollama: Ollama) -> ProxyTarget:
    return ProxyTarget((web.address, web.port), web.settings, ollama)


@pytest.fixture
def busy(serve: Serve, ollama: Ollama) -> ProxyTarget:
    """A proxy with two slots, and a queue timeout of one second."""
    return target_of(serve(upstream=ollama.address, proxy_max_streams=2, proxy_queue_timeout=1), ollama)


def test_slow_clients(serve: Serve, ollama: Ollama) -> None:
    behaviour.slow_clients(target_of(serve(upstream=ollama.address), ollama), slowdown=2)


def test_concurrency_limit(busy: ProxyTarget) -> None:
    behaviour.concurrency_limit(busy)


def test_slots_are_freed(busy: ProxyTarget) -> None:
    behaviour.slots_are_freed(busy)


class StoppableOllama:
    """An Ollama that can be stopped, and its name in the proxy."""

    def __init__(self, parts: artefacts.Paths, directory: Path, web: Httpd) -> None:
        self._parts, self._directory, self._web = parts, directory, web
        self._starts = 0
        self.server = self._new()

    def _new(self) -> Ollama:
        self._starts += 1
        directory = self._directory / str(self._starts)
        directory.mkdir()
        return Ollama(self._parts["roots"] / "ollama", directory, self._parts["models"], self._web.address)

    def stop(self) -> None:
        self.server.__exit__(None, None, None)

    def remove_name(self) -> None:
        self._web.set_names({})

    def start(self) -> None:
        self._web.set_names({"ollama": self._web.address})
        self.server = self._new()
        self.server.__enter__()


@pytest.fixture
def stoppable(parts: artefacts.Paths, serve: Serve, tmp_path: Path) -> Iterator[tuple[Httpd, StoppableOllama]]:
    """A proxy and a separate Ollama."""
    web = serve(allowed_origins=["http://listed.example:8080"])
    server = StoppableOllama(parts, tmp_path, web)
    with server.server:
        yield web, server
        server.stop()


def test_ollama_unavailable(stoppable: tuple[Httpd, StoppableOllama]) -> None:
    web, server = stoppable
    behaviour.ollama_unavailable(target_of(web, server.server), server)


def test_tokens_are_forwarded_when_they_are_generated(serve: Serve) -> None:
    """11. A test server: the timing of a real Ollama can't be controlled."""
    web = serve()
    with Upstream(web.address, words(5, pause=0.8)):
        lines = stream(web.url, R, {"prompt": "hi"})
    delays = [line.arrived - float(line.text.partition(":")[2].rstrip("}")) for line in lines]
    assert len(delays) == 5
    assert max(delays) < 0.7, "held until the next one"


def test_first_byte_timeout(serve: Serve) -> None:
    """30. A test server: a real Ollama can't be made to stall."""
    web = serve(proxy_timeout=60, ollama_load_timeout="1m")
    conf = web.tree / "httpd/httpd.conf"
    conf.write_text(conf.read_text().replace("timeout=60 max=", "timeout=1 max="))
    web.apply()
    with Upstream(web.address, words(1, pause=0, first_after=20)):
        begun = time.monotonic()
        answer = call(web.url, "POST", R, {"prompt": "hi"})
        assert 0.9 < time.monotonic() - begun < 10
    assert (answer.status, answer.all("content-type")) == (502, ["application/json"])
    assert answer.json()["error"]


def test_moved_ollama_is_found_despite_another_server_at_its_old_address(serve: Serve) -> None:
    """31. Test servers, whose responses differ."""
    web, other = serve(), serve()  # the second one for its address
    with Upstream(web.address, whole(b'{"here":1}')), Upstream(other.address, whole(b'{"here":2}')):
        assert call(web.url, "POST", R, {}).body == b'{"here":1}'
        web.set_names({"ollama": other.address})
        # httpd keeps an address for a second.
        behaviour.wait_until(lambda: call(web.url, "POST", R, {}).body == b'{"here":2}', 10)
        assert [call(web.url, "POST", R, {}).body for _ in range(5)] == [b'{"here":2}'] * 5


def test_in_flight_response_survives_a_reload(serve: Serve) -> None:
    """32. A test server: the response must still be streaming when the new configuration is active."""
    web = serve()
    with Upstream(web.address, words(20, pause=0.1)):
        lines: list[str] = []
        talk = threading.Thread(target=lambda: lines.extend(line.text for line in stream(web.url, R, {"prompt": "hi"})))
        talk.start()
        time.sleep(0.3)
        web.write(web.settings.model_copy(update={"proxy_host_names": ("new.example",)}))
        assert web.reload().code == 0
        target = ProxyTarget((web.address, web.port), web.settings, NoOllama())
        slowest = max(behaviour.page_seconds(target) for _ in range(30))
        behaviour.wait_until(lambda: call(web.url, "GET", "/", headers={"Host": "new.example"}).status == 200, 2)
        assert talk.is_alive(), "the response ended before the reload"
        talk.join(10)
    assert len(lines) == 20
    # httpd starts the next child within a second; requests in between wait that long.
    assert slowest < 2


class NoOllama:
    """An Ollama that gets no requests."""

    def requests(self) -> int:
        return 0
