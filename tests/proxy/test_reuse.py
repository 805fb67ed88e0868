"""httpd keeps its connections to Ollama, and knows which requests are in flight: docs/decisions/0045."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearth.docker.compose_up import COMPOSE_UP
from hearth.paths import REQUESTS_PATH
from lab import artefacts
from tests.proxy.conftest import Serve
from tests.proxy.credentials import MOUNT, SETTINGS, write_files
from tests.proxy.httpd import OLLAMA_PORT, Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.test_stop import main_process
from tests.proxy.test_tls import Site
from tests.support.proxy_rules.behaviour import wait_until

ROUTE = "/api/ollama"
ENDLESS = json.dumps({"model": "tinystory", "prompt": "go", "options": {"num_predict": 20000}})


def connections(ollama: Ollama) -> int:
    """Established connections to it."""
    there = f"{socket.inet_aton(ollama.address)[::-1].hex().upper()}:{OLLAMA_PORT:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[2] == there and row[3] == "01" for row in rows)


def listed(web: Httpd, source: str) -> tuple[int, list[str]]:
    """Status, and the ids of requests in flight as a client with that address gets them."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=20, source_address=(source, 0))
    connection.request("GET", REQUESTS_PATH)
    answer = connection.getresponse()
    words = answer.read().decode().split()
    connection.close()
    return answer.status, words


def ask(web: Httpd) -> int:
    """The status of a short response, over a new connection to httpd."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
    body = json.dumps({"model": "tinyllama", "prompt": "hi", "options": {"num_predict": 1}})
    connection.request("POST", ROUTE, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@contextmanager
def stream(web: Httpd) -> Iterator[http.client.HTTPConnection]:
    """A request whose response does not end by itself. Ollama makes one at a time, so others wait."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
    connection.request("POST", ROUTE, ENDLESS, {"Content-Type": "application/json"})
    try:
        yield connection
    finally:
        connection.close()


def test_an_idle_connection_is_not_a_request_in_flight(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address)
    before = connections(ollama)
    assert [ask(web) for _ in range(5)] == [200] * 5
    assert before < connections(ollama) < before + 5, "kept, and used again"
    assert listed(web, ollama.address) == (200, [])
    with stream(web) as going:
        answer = going.getresponse()
        assert answer.readline()
        [first] = listed(web, ollama.address)[1]
        with stream(web):
            wait_until(lambda: len(listed(web, ollama.address)[1]) == 2, 20)
            assert first in listed(web, ollama.address)[1]
        answer.close()
    # They are over when httpd notices that the clients are gone.
    wait_until(lambda: listed(web, ollama.address)[1] == [], 30)
    assert ask(web) == 200


def test_only_ollama_may_read_the_list(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """Whatever callers need, and without TLS."""
    secrets = write_files(tmp_path / "httpd")
    guarded = serve(upstream=ollama.address, volumes={MOUNT: secrets}, proxy_access="users or api_keys", **SETTINGS)
    encrypted = Site(serve, ollama, tmp_path).web
    for web in (serve(upstream=ollama.address), guarded, encrypted):
        assert listed(web, "127.0.0.1")[0] == 403
        assert listed(web, ollama.address) == (200, [])


def test_requests_over_http2_are_listed(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    site = Site(serve, ollama, tmp_path)
    client = site.client
    curl = ["curl", "--silent", "--http2", "--cacert", str(client.trust), "--noproxy", "*", "--max-time", "60"]
    curl += ["--resolve", f"{client.name}:{client.tls_port}:{client.address}", "--output", "/dev/null"]
    curl += ["--header", "Content-Type: application/json", "--data", ENDLESS, client.url(ROUTE)]
    with subprocess.Popen(curl) as process:
        wait_until(lambda: len(listed(site.web, ollama.address)[1]) == 1, 20)
        process.terminate()
    wait_until(lambda: listed(site.web, ollama.address)[1] == [], 30)


def has_earlier_worker(main: int) -> bool:
    """Whether a deploy sees responses of before a reload, with httpd's main process in a container of that name."""
    docker = f'docker() {{ case "$*" in *State.Pid*) echo {main};; *) return 1;; esac; }}'
    script = f"{docker}\n{COMPOSE_UP}\nhas_earlier_worker hearth-httpd"
    return subprocess.run(["sh", "-c", script], check=False, timeout=30).returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="reads another user's process")
def test_a_reload_starts_a_new_list(serve: Serve, ollama: Ollama) -> None:
    """With ids that differ from those of before; a deploy waits for the earlier responses, too."""
    web = serve(upstream=ollama.address)
    main = main_process(web)
    with stream(web) as old:
        answer = old.getresponse()
        assert answer.readline()
        [before] = listed(web, ollama.address)[1]
        assert not has_earlier_worker(main)
        web.reload()
        wait_until(lambda: listed(web, ollama.address) == (200, []), 20)
        assert answer.readline(), "it goes on"
        assert has_earlier_worker(main)
        with stream(web):
            wait_until(lambda: listed(web, ollama.address)[1] != [], 20)
            [after] = listed(web, ollama.address)[1]
            assert after != before
        answer.close()
    wait_until(lambda: not has_earlier_worker(main), 30)


def test_no_request_fails_after_a_restart_of_ollama(serve: Serve, parts: artefacts.Paths, tmp_path: Path) -> None:
    """httpd has idle connections to the one that ended."""
    web = serve(proxy_max_streams=16)
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        with Ollama(parts["roots"] / "ollama", directory, parts["models"], web.address) as server:
            # At once after the start.
            assert ask(web) == 200, "the first one after a restart"
            with ThreadPoolExecutor(12) as pool:
                assert list(pool.map(lambda _: ask(web), range(24))) == [200] * 24
            assert connections(server) > 0
