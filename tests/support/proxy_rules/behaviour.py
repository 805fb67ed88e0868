"""Rows of the table that take time: slow clients, too many prompts, clients that disconnect, an unavailable Ollama.

Each function is one row, and raises AssertionError if the proxy behaves differently. `slowdown` is how many times
slower than an idle machine it may be (1 on loopback, more under emulation).
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from tests.acceptance.api import Answer, call
from tests.support.proxy_rules.case import R, sends
from tests.support.proxy_rules.target import ProxyTarget
from tests.support.proxy_rules.wire import Received, exchange, listen, request

# RequestReadTimeout for a head and a body, plus some tolerance.
SLOWEST = 12.0
# Seconds: a few milliseconds, and what a computer adds whose cores run several tests each. Requests that wait for a
# slot or a slow client take a second and more.
PAGE = 0.2
JSON = ("Content-Type", "application/json")


def page_seconds(proxy: ProxyTarget) -> float:
    """How long the chat page takes to load over a new connection."""
    begun = time.monotonic()
    answer = call(f"http://{proxy.netloc}", "GET", "/", headers={"Connection": "close"}, timeout=30)
    assert answer.status == 200, answer
    return time.monotonic() - begun


def quick(seconds: list[float], usual: float) -> None:
    """Check that the median is below `usual` and none is ten times that: on a busy machine, single requests are slow.

    Raises:
        AssertionError: with all durations.
    """
    assert sorted(seconds)[len(seconds) // 2] < usual, seconds
    assert max(seconds) < 10 * usual, seconds


def drip(proxy: ProxyTarget, head: bytes, seconds: float) -> Received:
    """Send `head`, then a byte every half second, until a response arrives or the connection ends."""
    begun = time.monotonic()
    with socket.create_connection(proxy.address, timeout=10) as connection:
        connection.sendall(head)
        while not select.select([connection], [], [], 0.5)[0] and time.monotonic() < begun + seconds:
            with contextlib.suppress(OSError):
                connection.send(b"a")
        duration = time.monotonic() - begun
        received = listen(connection, timeout=5)
    return replace(received, seconds=duration)


def slow_clients(proxy: ProxyTarget, slowdown: float = 1) -> None:
    """27: clients that send too slowly get an error and are disconnected; the page stays fast."""
    slow_head = request("GET", "/", [("Host", proxy.netloc)])[:-2] + b"X-Slow: "
    slow_body = request("POST", R, [("Host", proxy.netloc), JSON, ("Content-Length", "5000")])
    with ThreadPoolExecutor(12) as pool:
        heads = [pool.submit(drip, proxy, slow_head, SLOWEST + 10) for _ in range(8)]
        # Fewer than the slots: a request uses one while its body is being sent.
        bodies = [pool.submit(drip, proxy, slow_body, SLOWEST + 10) for _ in range(2)]
        pages = []
        while not all(one.done() for one in (*heads, *bodies)):
            pages.append(page_seconds(proxy))
            time.sleep(0.2)
    for one in (*heads, *bodies):
        received = one.result()
        assert [answer.status for answer in received.final] in ([408], []), received
        assert received.closed, received
        assert received.seconds < SLOWEST + slowdown, received
    assert any(one.result().final for one in heads), heads
    quick(pages, PAGE * slowdown)


class LongResponse:
    """A prompt whose response takes longer than any test, until the end of the block."""

    def __init__(self, proxy: ProxyTarget, path: str = R) -> None:
        options = {"num_predict": 100000, "num_thread": 1}
        messages = [{"role": "user", "content": "go"}]
        body_fields = {"model": "tinystory", "prompt": "go", "messages": messages, "options": options, "stream": True}
        body = json.dumps(body_fields | ({"max_tokens": 100000} if path.startswith("/v1") else {})).encode()
        self.received = b""
        self._connection = socket.create_connection(proxy.address, timeout=120)
        headers = [("Host", proxy.netloc), JSON, ("Content-Length", str(len(body)))]
        self._connection.sendall(request("POST", path, headers, body))

    def __enter__(self) -> LongResponse:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._connection.fileno()

    def first_line(self) -> None:
        """Wait for the first line of the response.

        Raises:
            AssertionError: its status is not 200.
        """
        while b"\n" not in self.received.partition(b"\r\n\r\n")[2]:
            assert self._receive(), self.received
        assert self.received.startswith(b"HTTP/1.1 200 "), self.received

    def rest(self) -> bytes:
        """Everything received until the connection was closed."""
        while self._receive():
            pass
        return self.received

    def _receive(self) -> bool:
        try:
            piece = self._connection.recv(65536)
        except ConnectionResetError:
            return False
        self.received += piece
        return bool(piece)


@contextlib.contextmanager
def all_slots_used(proxy: ProxyTarget) -> Iterator[list[LongResponse]]:
    """As many long responses as there are slots, through different routes."""
    paths = [R, "/api/chat", "/v1/chat/completions"]
    with contextlib.ExitStack() as stack:
        responses = [
            stack.enter_context(LongResponse(proxy, paths[number % len(paths)]))
            for number in range(proxy.settings.proxy_max_streams)
        ]
        # One of them streams, the others wait in Ollama.
        first, _, _ = select.select(responses, [], [], 60)
        first[0].first_line()
        yield responses


def concurrency_limit(proxy: ProxyTarget, slowdown: float = 1) -> None:
    """28: beyond proxy_max_streams, 503 in JSON after proxy_queue_timeout; the page and the model list stay fast."""
    wait = proxy.settings.proxy_queue_timeout
    with all_slots_used(proxy), ThreadPoolExecutor(3) as pool:
        refused = [pool.submit(timed, proxy, path) for path in (R, "/api/chat", "/v1/chat/completions")]
        pages, models = [], []
        while not all(one.done() for one in refused):
            pages.append(page_seconds(proxy))
            begun = time.monotonic()
            assert call(f"http://{proxy.netloc}", "GET", "/api/tags").status == 200
            models.append(time.monotonic() - begun)
            time.sleep(0.1)
        for one in refused:
            answer, seconds = one.result()
            assert answer.status == 503, answer
            assert answer.json()["error"], answer
            assert answer.all("retry-after") == ["5"], answer
            assert wait - 0.5 < seconds < wait + slowdown, seconds
    quick(pages, PAGE * slowdown)
    quick(models, 0.2 * slowdown)


def timed(proxy: ProxyTarget, path: str) -> tuple[Answer, float]:
    """Send a prompt; the response and its duration."""
    begun = time.monotonic()
    [answer] = exchange(proxy.address, *sends("POST", path)(proxy)).final
    return answer, time.monotonic() - begun


def slots_are_freed(proxy: ProxyTarget, slowdown: float = 1) -> None:
    """29: a client that disconnects mid-response frees its slot and ends the generation."""
    before = proxy.ollama.requests()
    with all_slots_used(proxy):
        begun = time.monotonic()
    slots = proxy.settings.proxy_max_streams
    assert proxy.settled(before + slots, 10 * slowdown) >= before + slots, "generation continues"
    assert time.monotonic() - begun < 10 * slowdown
    answer, _ = timed(proxy, R)
    assert answer.status == 200, answer


class Control(Protocol):
    """How to stop and start the proxy's Ollama."""

    def stop(self) -> None:
        """The server ends, but its name still resolves to its address."""

    def remove_name(self) -> None:
        """The name no longer resolves."""

    def start(self) -> None:
        """It is available again."""


def ollama_unavailable(proxy: ProxyTarget, control: Control, slowdown: float = 1) -> None:
    """30: an Ollama that is killed mid-response, is down, or has no name: an error in JSON."""
    origin = (f"Origin: {proxy.listed}",) if proxy.listed else ()
    prompt = sends("POST", R, *origin)(proxy)

    def refused(*statuses: int) -> None:
        [answer] = exchange(proxy.address, *prompt).final
        assert answer.status in statuses, answer
        assert answer.json()["error"], answer
        assert answer.all("content-type") == ["application/json"], answer
        assert answer.all("access-control-allow-origin") == ([proxy.listed] if proxy.listed else []), answer
        quick([page_seconds(proxy) for _ in range(5)], PAGE * slowdown)

    with LongResponse(proxy) as response:
        response.first_line()
        end = threading.Thread(target=control.stop)
        end.start()
        received = response.rest()
        end.join()
    assert not received.endswith(b"0\r\n\r\n"), "the interrupted response looks complete"
    refused(503, 500)
    control.remove_name()
    # httpd keeps an address for a second.
    wait_until(lambda: exchange(proxy.address, *prompt).final[0].status == 500, 10 * slowdown)
    refused(500)
    control.start()
    wait_until(lambda: exchange(proxy.address, *prompt).final[0].status == 200, 20 * slowdown)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Poll until a condition is true.

    Raises:
        AssertionError: it was false for `seconds`.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"condition still false after {seconds:.0f} s"
        time.sleep(0.2)
