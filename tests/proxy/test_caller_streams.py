"""proxy_max_streams_per_caller with the real httpd: one caller can't use all slots, and no slot is lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.api import basic, bearer, call
from tests.lab.machine import wait_until
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, BEN, KEY, MOUNT, OTHER_KEY, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.test_tls import Site
from tests.proxy.upstream import Upstream, whole, words

ROUTE = "/api/ollama"
BODY = json.dumps({"model": "tinyllama", "prompt": "hi"})
HEADERS = {"Content-Type": "application/json"}


class Stream:
    """One streamed response, from its first line until the end of the block."""

    def __init__(self, web: Httpd, headers: Mapping[str, str] | None = None, source: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(web.address, web.port, timeout=60, source_address=(source, 0))
        self._connection.request("POST", ROUTE, BODY, HEADERS | dict(headers or {}))
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.retry_after = self._answer.headers.get("Retry-After")
        self.line = self._answer.readline()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._answer.close()

    def next_line(self) -> bytes:
        return self._answer.readline()

    def error(self) -> str:
        text: str = json.loads(self.line)["error"]
        return text


@contextlib.contextmanager
def held(web: Httpd, count: int, headers: Mapping[str, str] | None = None) -> Iterator[None]:
    """`count` responses in progress."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            assert stack.enter_context(Stream(web, headers)).status == 200
        yield


def refused_text(web: Httpd, headers: Mapping[str, str] | None = None) -> str:
    """The error of one more request."""
    with Stream(web, headers) as stream:
        assert (stream.status, stream.retry_after) == (503, "5"), stream.line
        return stream.error()


def assert_limit_is(web: Httpd, limit: int) -> None:
    """Exactly `limit` responses at the same time: no slot was lost, and none was gained."""

    def all_free() -> bool:
        try:
            with held(web, limit):
                refused_text(web)
            return True
        except AssertionError:
            return False

    # httpd notices a client that disconnected when it writes to it.
    wait_until(all_free, 10, "the slots are free")


def test_an_address_has_its_share_and_others_go_on(serve: Serve) -> None:
    web = serve(proxy_max_streams=4, proxy_max_streams_per_caller=2)
    with Upstream(web.address, words(1000, 0.1)) as upstream, held(web, 2):
        text = "address 127.0.0.1 has 2 responses in progress, the limit for one caller"
        assert refused_text(web) == text
        answers = [call(web.url, "POST", path, {"model": "x"}) for path in ("/api/chat", "/v1/chat/completions")]
        assert [answer.status for answer in answers] == [503, 503]
        assert all(text in answer.body.decode() for answer in answers)
        # What takes no slot is not counted.
        upstream.reply = whole()
        assert call(web.url, "GET", "/api/tags").status == 200
        assert call(web.url, "POST", "/api/show", {"model": "x"}).status == 200
        assert call(web.url, "GET", "/").status == 200
        with Stream(web, source="127.0.0.2") as other:
            assert other.status == 200
        assert len(upstream.arrived) == 5


def test_users_and_api_clients_are_told_apart_behind_one_address(serve: Serve, tmp_path: Path) -> None:
    secrets = write_files(tmp_path / "httpd")
    web = serve(
        volumes={MOUNT: secrets},
        proxy_access="users or api_keys",
        proxy_max_streams_per_caller=1,
        **SETTINGS,
    )
    callers = {
        "user anna": basic("anna", ANNA),
        "user ben": basic("ben", BEN),
        "API client notebook": bearer(KEY),
        "API client editor": bearer(OTHER_KEY),
    }
    with Upstream(web.address, words(1000, 0.1)), contextlib.ExitStack() as stack:
        for name, headers in callers.items():
            assert stack.enter_context(Stream(web, headers)).status == 200, name
            assert refused_text(web, headers) == f"{name} has 1 response in progress, the limit for one caller"
        with Stream(web, basic("anna", "a wrong password")) as stream:
            assert stream.status == 401


def test_other_503s_keep_their_text(serve: Serve) -> None:
    web = serve(proxy_max_streams_per_caller=3)  # and nothing that listens on Ollama's port
    for _ in range(3):
        assert refused_text(web) == "busy, or model server down"


def test_no_slot_is_lost(serve: Serve) -> None:
    """Clients that disconnect, at any time; errors of the upstream; refused requests; reloads."""
    web = serve(proxy_max_streams=8, proxy_max_streams_per_caller=3, proxy_timeout=900, proxy_queue_timeout=1)
    with Upstream(web.address, words(1000, 0.02)) as upstream:
        assert_limit_is(web, 3)

        def close_at_once(_: int) -> None:
            connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
            connection.request("POST", ROUTE, BODY, HEADERS)
            connection.close()

        def reset_mid_body(_: int) -> None:
            connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
            connection.request("POST", ROUTE, BODY[:9], HEADERS | {"Content-Length": "99"})
            connection.close()

        def many(attack: Callable[[int], object], count: int = 60) -> None:
            with ThreadPoolExecutor(20) as pool:
                list(pool.map(attack, range(count)))
            upstream.reply = words(1000, 0.02)
            assert_limit_is(web, 3)

        many(close_at_once)
        many(reset_mid_body)
        many(lambda _: Stream(web).__exit__())
        upstream.reply = whole(b'{"error":"no such model"}', "404 Not Found")
        many(lambda _: call(web.url, "POST", ROUTE, {"model": "x"}))
        upstream.reply = lambda _, connection: connection.close()  # 502
        many(lambda _: call(web.url, "POST", ROUTE, {"model": "x"}))
        upstream.reply = words(3, 0.01, ending=b"")  # cut

        def read_cut_response(_: int) -> None:
            with contextlib.suppress(http.client.IncompleteRead):
                call(web.url, "POST", ROUTE, {"model": "x"})

        many(read_cut_response)
        many(lambda _: call(web.url, "POST", ROUTE, b"{}", {"Content-Length": "-1"}))
        many(lambda _: call(web.url, "DELETE", ROUTE))
        upstream.reply = whole()
        many(keep_alive(web, 20))
        web.apply()
        assert_limit_is(web, 3)


def keep_alive(web: Httpd, count: int) -> Callable[[int], None]:
    def run(_: int) -> None:
        connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
        for _ in range(count):
            connection.request("POST", ROUTE, BODY, HEADERS)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 503)
        connection.close()

    return run


def test_a_reload_counts_anew_and_cuts_nothing(serve: Serve) -> None:
    """As with proxy_max_streams: responses of the old process are not counted in the new one, and end on their own."""
    web = serve(proxy_max_streams_per_caller=1)
    with Upstream(web.address, words(1000, 0.02)), Stream(web) as before:
        refused_text(web)
        web.write(web.settings.model_copy(update={"proxy_max_streams_per_caller": 2}))
        web.apply()
        assert_limit_is(web, 2)
        assert before.status == 200
        assert b'"at"' in before.next_line()


def test_http2(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """Several requests in one connection, each of which counts."""
    site = Site(serve, ollama, tmp_path, proxy_max_streams_per_caller=1)
    site.web.set_names({"ollama": site.web.address})
    client = site.client
    with Upstream(site.web.address, words(10, 0.1)):
        for version in ("2", "1.1", "2"):
            url = client.url(ROUTE)
            one = ["curl", "--silent", "--cacert", str(client.trust), "--noproxy", "*", "--parallel"]
            one += ["--resolve", f"{client.name}:{client.tls_port}:{client.address}", "--max-time", "60"]
            one += ["--http2" if version == "2" else "--http1.1", "--write-out", "%{http_code} ", "--data", BODY]
            one += ["--header", "Content-Type: application/json"]
            for _ in range(4):
                one += [url, "--output", "/dev/null"]
            until = time.monotonic() + 60
            while True:
                done = subprocess.run(one, capture_output=True, text=True, check=False, timeout=60)
                # A 503 that came before the body was sent, which curl may not show: see tls_client.py.
                if "000" not in done.stdout.split() or time.monotonic() > until:
                    break
            assert sorted(done.stdout.split()) == ["200", "503", "503", "503"], (version, done)
        # A client that disconnects.
        for _ in range(5):
            subprocess.run([*one, "--max-time", "0.3"], capture_output=True, check=False, timeout=60)
            wait_until(
                lambda: client.call(ROUTE, "POST", "2", {"model": "x"}).status == 200, 10, "the slot is free again"
            )


class Greedy:
    """50 connections of one caller that send a prompt each, again and again, whatever they get."""

    def __init__(self, web: Httpd, body: Mapping[str, object], count: int = 50) -> None:
        self._web, self._body = web, json.dumps(body)
        self._over = threading.Event()
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(
                    self._web.address, self._web.port, timeout=60, source_address=("127.0.0.9", 0)
                )
                connection.request("POST", ROUTE, self._body, HEADERS)
                answer = connection.getresponse()
                self.statuses.append(answer.status)
                while not self._over.is_set() and answer.readline():
                    pass
                connection.close()
            self._over.wait(0.2)

    def __enter__(self) -> Greedy:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


def first_token(web: Httpd, body: Mapping[str, object]) -> tuple[int, float, float]:
    """Status of a prompt, and the seconds until the first line, and from there to the end."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=120)
    begun = time.monotonic()
    connection.request("POST", ROUTE, json.dumps(body), HEADERS)
    answer = connection.getresponse()
    answer.readline()
    seconds = time.monotonic() - begun
    answer.read()
    connection.close()
    return answer.status, seconds, time.monotonic() - begun - seconds


PROMPT = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 400, "num_thread": 1}}


def measure(web: Httpd, times: int) -> tuple[float, float, list[tuple[int, float]]]:
    """(usual first token, one generation, first tokens next to a greedy caller), in seconds."""
    first_token(web, PROMPT)  # loads the model
    runs = [first_token(web, PROMPT) for _ in range(3)]
    usual = statistics.median(first for _, first, _ in runs)
    with Greedy(web, PROMPT) as greedy:
        wait_until(lambda: 200 in greedy.statuses, 60, "the greedy caller has a response")
        found = []
        for _ in range(times):
            # httpd gives a slot back when it logs the request, just after the response.
            time.sleep(0.3)
            runs.append(first_token(web, PROMPT))
            found.append(runs[-1][:2])
    # Of all runs: next to the greedy caller a generation takes longer, too.
    return usual, max(rest for _, _, rest in runs), found


def test_another_caller_waits_for_one_generation_at_most(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_max_streams_per_caller=1)
    usual, generation, found = measure(web, 5)
    print(f"usual {usual:.3f} s, generation {generation:.3f} s, next to 50 connections: {found}")
    assert {status for status, _ in found} == {200}, found
    # Twice the generation: the 50 connections use processor time too, on two cores.
    assert max(seconds for _, seconds in found) < usual + 2 * generation, (usual, generation, found)


@pytest.mark.skipif("HEARTH_MEASURE" not in os.environ, reason="prints the figures of docs/measurements.md")
@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_figures(serve: Serve, ollama: Ollama, limit: int) -> None:
    web = serve(upstream=ollama.address, proxy_max_streams_per_caller=limit)
    usual, generation, found = measure(web, 8)
    times = sorted(seconds for status, seconds in found if status == 200)
    print(
        f"limit {limit}: usual {usual:.2f}, generation {generation:.2f}; {len(times)} of {len(found)} served, "
        f"first token median {statistics.median(times or [0]):.2f}, max {max(times or [0]):.2f}"
    )
