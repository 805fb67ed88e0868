"""Rows of the table that take time: slow clients, too many questions, clients that leave, an Ollama that is gone.

Each function is one row, and raises AssertionError if the place does otherwise. `patience` says how many times slower
than a quiet machine it may be (1 on loopback, more under emulation).
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
from tests.support.proxy_rules.case import R, asks
from tests.support.proxy_rules.place import Place
from tests.support.proxy_rules.wire import Heard, listen, request, say

# What RequestReadTimeout gives a head and a body, and some for the clocks.
SLOWEST = 12.0
JSON = ("Content-Type", "application/json")


def page_seconds(place: Place) -> float:
    """How long the chat page takes over a new connection; it must be the page."""
    begun = time.monotonic()
    answer = call(f"http://{place.netloc}", "GET", "/", headers={"Connection": "close"}, timeout=30)
    assert answer.status == 200, answer
    return time.monotonic() - begun


def quick(seconds: list[float], usual: float) -> None:
    """The median is below `usual`, and none is ten times that: a busy machine makes single ones slow.

    Raises:
        AssertionError: with all of them.
    """
    assert sorted(seconds)[len(seconds) // 2] < usual, seconds
    assert max(seconds) < 10 * usual, seconds


def drip(place: Place, head: bytes, seconds: float) -> Heard:
    """Send `head`, then a byte each half second, until an answer or the end of the connection comes."""
    begun = time.monotonic()
    with socket.create_connection(place.address, timeout=10) as connection:
        connection.sendall(head)
        while not select.select([connection], [], [], 0.5)[0] and time.monotonic() < begun + seconds:
            with contextlib.suppress(OSError):
                connection.send(b"a")
        took = time.monotonic() - begun
        heard = listen(connection, timeout=5)
    return replace(heard, seconds=took)


def slow_clients(place: Place, patience: float = 1) -> None:
    """27: who sends too slowly is told so and gone; the page is quick meanwhile."""
    slow_head = request("GET", "/", [("Host", place.netloc)])[:-2] + b"X-Slow: "
    slow_body = request("POST", R, [("Host", place.netloc), JSON, ("Content-Length", "5000")])
    with ThreadPoolExecutor(12) as pool:
        heads = [pool.submit(drip, place, slow_head, SLOWEST + 10) for _ in range(8)]
        # Fewer than places: a body that is on its way has one already.
        bodies = [pool.submit(drip, place, slow_body, SLOWEST + 10) for _ in range(2)]
        pages = []
        while not all(one.done() for one in (*heads, *bodies)):
            pages.append(page_seconds(place))
            time.sleep(0.2)
    for one in (*heads, *bodies):
        heard = one.result()
        assert [answer.status for answer in heard.final] in ([408], []), heard
        assert heard.closed, heard
        assert heard.seconds < SLOWEST + patience, heard
    assert any(one.result().final for one in heads), heads
    quick(pages, 0.05 * patience)


class Long:
    """A question whose answer takes longer than any test, until the end of the block."""

    def __init__(self, place: Place, path: str = R) -> None:
        options = {"num_predict": 100000, "num_thread": 1}
        messages = [{"role": "user", "content": "go"}]
        wish = {"model": "tinystory", "prompt": "go", "messages": messages, "options": options, "stream": True}
        body = json.dumps(wish | ({"max_tokens": 100000} if path.startswith("/v1") else {})).encode()
        self.received = b""
        self._connection = socket.create_connection(place.address, timeout=120)
        headers = [("Host", place.netloc), JSON, ("Content-Length", str(len(body)))]
        self._connection.sendall(request("POST", path, headers, body))

    def __enter__(self) -> Long:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._connection.fileno()

    def first_word(self) -> None:
        """Wait for the first line of the answer.

        Raises:
            AssertionError: it is no answer of status 200.
        """
        while b"\n" not in self.received.partition(b"\r\n\r\n")[2]:
            assert self._hear(), self.received
        assert self.received.startswith(b"HTTP/1.1 200 "), self.received

    def rest(self) -> bytes:
        """What came until the connection was closed."""
        while self._hear():
            pass
        return self.received

    def _hear(self) -> bool:
        try:
            piece = self._connection.recv(65536)
        except ConnectionResetError:
            return False
        self.received += piece
        return bool(piece)


@contextlib.contextmanager
def all_places_taken(place: Place) -> Iterator[list[Long]]:
    """As many long answers as there are places, by different routes."""
    paths = [R, "/api/chat", "/v1/chat/completions"]
    with contextlib.ExitStack() as stack:
        talks = [
            stack.enter_context(Long(place, paths[number % len(paths)]))
            for number in range(place.settings.proxy_max_streams)
        ]
        # One of them talks, the others wait in Ollama.
        first, _, _ = select.select(talks, [], [], 60)
        first[0].first_word()
        yield talks


def places(place: Place, patience: float = 1) -> None:
    """28: past proxy_max_streams a quick 503 in JSON, after proxy_queue_timeout; the page and the models stay quick."""
    wait = place.settings.proxy_queue_timeout
    with all_places_taken(place), ThreadPoolExecutor(3) as pool:
        refused = [pool.submit(timed, place, path) for path in (R, "/api/chat", "/v1/chat/completions")]
        pages, models = [], []
        while not all(one.done() for one in refused):
            pages.append(page_seconds(place))
            begun = time.monotonic()
            assert call(f"http://{place.netloc}", "GET", "/api/tags").status == 200
            models.append(time.monotonic() - begun)
            time.sleep(0.1)
        for one in refused:
            answer, seconds = one.result()
            assert answer.status == 503, answer
            assert answer.json()["error"], answer
            assert answer.all("retry-after") == ["5"], answer
            assert wait - 0.5 < seconds < wait + patience, seconds
    quick(pages, 0.05 * patience)
    quick(models, 0.2 * patience)


def timed(place: Place, path: str) -> tuple[Answer, float]:
    """A question and how long its answer took."""
    begun = time.monotonic()
    [answer] = say(place.address, *asks("POST", path)(place)).final
    return answer, time.monotonic() - begun


def places_come_back(place: Place, patience: float = 1) -> None:
    """29: who leaves in the midst of an answer frees the place and ends the generation."""
    before = place.ollama.requests()
    with all_places_taken(place):
        begun = time.monotonic()
    taken = place.settings.proxy_max_streams
    assert place.settled(before + taken, 10 * patience) >= before + taken, "answers go on for nobody"
    assert time.monotonic() - begun < 10 * patience
    answer, _ = timed(place, R)
    assert answer.status == 200, answer


class Control(Protocol):
    """What can be done to the Ollama of a place."""

    def stop(self) -> None:
        """The server ends, its name still leads to where it was."""

    def lose(self) -> None:
        """The server ends, and its name with it."""

    def start(self) -> None:
        """It is there again, and answers."""


def gone(place: Place, control: Control, patience: float = 1) -> None:
    """30: an Ollama that is killed in the midst, is down, or has no name: said in JSON, also to a listed page."""
    origin = (f"Origin: {place.listed}",) if place.listed else ()
    question = asks("POST", R, *origin)(place)

    def refused(*statuses: int) -> None:
        [answer] = say(place.address, *question).final
        assert answer.status in statuses, answer
        assert answer.json()["error"], answer
        assert answer.all("content-type") == ["application/json"], answer
        assert answer.all("access-control-allow-origin") == ([place.listed] if place.listed else []), answer
        quick([page_seconds(place) for _ in range(5)], 0.05 * patience)

    with Long(place) as talk:
        talk.first_word()
        end = threading.Thread(target=control.stop)
        end.start()
        came = talk.rest()
        end.join()
    assert not came.endswith(b"0\r\n\r\n"), "an answer that was cut off ends as if it were whole"
    refused(503, 500)
    control.lose()
    refused(500)
    control.start()
    wait_until(lambda: say(place.address, *question).final[0].status == 200, 20 * patience)


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Poll until something is so.

    Raises:
        AssertionError: it was not, within `seconds`.
    """
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not so within {seconds:.0f} s"
        time.sleep(0.2)
