"""Rows of the table that take time or control, against the real httpd and the real Ollama."""

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
from tests.support.proxy_rules.place import Place

R = "/api/ollama"


def place_of(web: Httpd, ollama: Ollama) -> Place:
    return Place((web.address, web.port), web.settings, ollama)


@pytest.fixture
def busy(serve: Serve, ollama: Ollama) -> Place:
    """A proxy with two places, and a second to wait for one."""
    return place_of(serve(upstream=ollama.address, proxy_max_streams=2, proxy_queue_timeout=1), ollama)


def test_slow_clients(serve: Serve, ollama: Ollama) -> None:
    behaviour.slow_clients(place_of(serve(upstream=ollama.address), ollama), patience=2)


def test_concurrency_limit(busy: Place) -> None:
    behaviour.places(busy)


def test_slots_are_freed(busy: Place) -> None:
    behaviour.places_come_back(busy)


class Mortal:
    """An Ollama that can be ended, and the names by which a proxy finds it."""

    def __init__(self, parts: artefacts.Paths, directory: Path, web: Httpd) -> None:
        self._parts, self._directory, self._web = parts, directory, web
        self._lives = 0
        self.server = self._new()

    def _new(self) -> Ollama:
        self._lives += 1
        directory = self._directory / str(self._lives)
        directory.mkdir()
        return Ollama(self._parts["roots"] / "ollama", directory, self._parts["models"], self._web.address)

    def stop(self) -> None:
        self.server.__exit__(None, None, None)

    def lose(self) -> None:
        self._web.set_names({})

    def start(self) -> None:
        self._web.set_names({"ollama": self._web.address})
        self.server = self._new()
        self.server.__enter__()


@pytest.fixture
def mortal(parts: artefacts.Paths, serve: Serve, tmp_path: Path) -> Iterator[tuple[Httpd, Mortal]]:
    """A proxy and an Ollama of its own."""
    web = serve(allowed_origins=["http://listed.example:8080"])
    mine = Mortal(parts, tmp_path, web)
    with mine.server:
        yield web, mine
        mine.stop()


def test_ollama_unavailable(mortal: tuple[Httpd, Mortal]) -> None:
    web, mine = mortal
    behaviour.gone(place_of(web, mine.server), mine)


def test_tokens_are_forwarded_when_they_are_generated(serve: Serve) -> None:
    """11. A server of our own: a real Ollama can't be told when to make a word."""
    web = serve()
    with Upstream(web.address, words(5, pause=0.3)):
        lines = stream(web.url, R, {"prompt": "hi"})
    delays = [line.arrived - float(line.text.partition(":")[2].rstrip("}")) for line in lines]
    assert len(delays) == 5
    assert max(delays) < 0.1, delays


def test_first_byte_timeout(serve: Serve) -> None:
    """30. A server of our own: a real Ollama can't be told to stall."""
    web = serve(proxy_timeout=60, ollama_load_timeout="1m")
    conf = web.tree / "httpd/httpd.conf"
    conf.write_text(conf.read_text().replace("timeout=60 max=", "timeout=1 max="))
    web.reload()
    time.sleep(0.2)
    with Upstream(web.address, words(1, pause=0, first_after=20)):
        begun = time.monotonic()
        answer = call(web.url, "POST", R, {"prompt": "hi"})
        assert 0.9 < time.monotonic() - begun < 10
    assert (answer.status, answer.all("content-type")) == (502, ["application/json"])
    assert answer.json()["error"]


def test_moved_ollama_is_found_despite_another_server_at_its_old_address(serve: Serve) -> None:
    """31. Servers of our own: which of two answered must be told apart."""
    web, other = serve(), serve()  # the second one for its address
    with Upstream(web.address, whole(b'{"here":1}')), Upstream(other.address, whole(b'{"here":2}')):
        assert call(web.url, "POST", R, {}).body == b'{"here":1}'
        web.set_names({"ollama": other.address})
        assert [call(web.url, "POST", R, {}).body for _ in range(5)] == [b'{"here":2}'] * 5


def test_in_flight_response_survives_a_reload(serve: Serve) -> None:
    """32. A server of our own: the answer must be running still when the new configuration serves."""
    web = serve()
    with Upstream(web.address, words(20, pause=0.1)):
        lines: list[str] = []
        talk = threading.Thread(target=lambda: lines.extend(line.text for line in stream(web.url, R, {"prompt": "hi"})))
        talk.start()
        time.sleep(0.3)
        web.write(web.settings.model_copy(update={"proxy_host_names": ("new.example",)}))
        assert web.reload().code == 0
        slowest = max(behaviour.page_seconds(Place((web.address, web.port), web.settings, Nobody())) for _ in range(30))
        behaviour.wait_until(lambda: call(web.url, "GET", "/", headers={"Host": "new.example"}).status == 200, 2)
        assert talk.is_alive(), "the answer was over before the reload"
        talk.join(10)
    assert len(lines) == 20
    # httpd starts the next child within a second; who calls in between waits that long.
    assert slowest < 2


class Nobody:
    """An Ollama that is not asked."""

    def requests(self) -> int:
        return 0
