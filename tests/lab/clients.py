"""Clients that use the lab's host during a test, and record what they receive."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from typing_extensions import override

from tests.lab.machine import url


@dataclass
class Streamed:
    """One streamed response as received by a client.

    Attributes:
        status: HTTP status; 0 without one.
        lines: received, each a JSON object.
        broken: how the connection failed, "" if the response was complete according to HTTP.
        backend: that answered, where there are pools.
    """

    status: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""
    backend: str = ""

    @property
    def refused(self) -> bool:
        """No connection: nothing listens at that port, or the machine is off."""
        return not self.status and self.broken.startswith((ConnectionRefusedError.__name__, f"{OSError.__name__}:"))

    @property
    def complete(self) -> bool:
        """Status 200, a regular end, and a last line with `done`."""
        return self.status == 200 and not self.broken and bool(self.lines) and self.lines[-1].get("done") is True


def prompt(words: int, timeout: float = 120, streamed: Streamed | None = None, at: str = "") -> Streamed:
    """Stream one response of `words` tokens from the endless model.

    Args:
        streamed: filled while it arrives.
        at: the page's URL; that of the lab by default.
    """
    streamed = Streamed() if streamed is None else streamed
    # One thread: under emulation, the model's threads would wait for each other on all processors, which deploys need.
    options = {"num_predict": words, "num_thread": 1}
    body: Mapping[str, Any] = {"model": "tinystory", "prompt": "go", "options": options}
    parts = urlsplit(at or url())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", "/api/ollama", json.dumps(body).encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        streamed.status = response.status
        streamed.backend = response.getheader("X-Hearth-Backend") or ""
        # read1 instead of readline, which hides that a chunked response was cut off.
        rest = b""
        while piece := response.read1(65536):
            *lines, rest = (rest + piece).split(b"\n")
            streamed.lines += [json.loads(line) for line in lines if line.strip()]
        if rest.strip():
            streamed.lines.append(json.loads(rest))
    except (OSError, http.client.HTTPException, ValueError) as error:
        streamed.broken = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return streamed


class BackgroundStream(threading.Thread):
    """A client that reads one long response in the background."""

    def __init__(self, words: int, timeout: float = 300, at: str = "") -> None:
        super().__init__(daemon=True)
        self.streamed = Streamed()
        self._words, self._timeout, self._at = words, timeout, at

    def run(self) -> None:
        prompt(self._words, self._timeout, self.streamed, self._at)


class BackgroundClient:
    """A client that runs in a thread of its own as long as the block runs.

    Args:
        patience: seconds that its last requests may take after the block has ended.
    """

    def __init__(self, patience: float) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._patience = patience

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(self._patience)


class PromptLoop(BackgroundClient):
    """A client that sends one prompt after another, as long as the block runs.

    Args:
        words: tokens of each response.
        at: URLs of the page; it goes on to the next when one refuses the connection. The lab's by default.
    """

    def __init__(self, words: int = 30, *at: str) -> None:
        super().__init__(patience=180)
        self.responses: list[Streamed] = []
        self._words, self._at = words, at or (url(),)

    @property
    def failed(self) -> list[Streamed]:
        """Requests that were refused."""
        return [streamed for streamed in self.responses if not streamed.complete and not streamed.lines]

    @property
    def cut(self) -> list[Streamed]:
        """Streams that started but did not end regularly."""
        return [streamed for streamed in self.responses if not streamed.complete and streamed.lines]

    @override
    def _run(self) -> None:
        while not self._stop.is_set():
            for address in self._at:
                streamed = prompt(self._words, at=address)
                if not streamed.refused:
                    break
            self.responses.append(streamed)


@dataclass(frozen=True)
class Attempt:
    """One request for the page over a new connection: times (monotonic seconds) and error ("" for none)."""

    begun: float
    ended: float
    error: str


class ConnectionLoop(BackgroundClient):
    """A client that requests the page over a new connection every `pause` seconds, as long as the block runs.

    Requests are independent: one that waits does not delay the next.

    Args:
        pause: see above.
        timeout: of one request, in seconds.
        at: the page's URL; that of the lab by default.
        prepare: called first in each request's thread.
    """

    def __init__(
        self, pause: float = 0.1, timeout: float = 10, at: str = "", prepare: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(timeout + 30)
        self.attempts: list[Attempt] = []
        self._pause, self._timeout, self._prepare = pause, timeout, prepare
        self._address = urlsplit(at or url())

    def gaps(self, late: float) -> list[float]:
        """Seconds between the starts of the first and the last failed attempt of each gap, plus one pause.

        So a gap is never reported shorter than it was. It lasts until all attempts of a full second succeed within
        `late` seconds; late successes do not extend it.
        """
        found: list[list[Attempt]] = [[]]
        for attempt in sorted(self.attempts, key=lambda attempt: attempt.begun):
            if attempt.error or attempt.ended - attempt.begun > late:
                if found[-1] and attempt.begun - found[-1][-1].begun > 1:
                    found.append([])
                found[-1].append(attempt)
        failed = [[attempt.begun for attempt in gap if attempt.error] for gap in found]
        return [gap[-1] - gap[0] + self._pause for gap in failed if gap]

    @property
    def failed(self) -> list[Attempt]:
        """Attempts without a correct response."""
        return [attempt for attempt in self.attempts if attempt.error]

    def slow(self, seconds: float) -> list[float]:
        """Durations of the successful attempts that took longer than `seconds`."""
        durations = (attempt.ended - attempt.begun for attempt in self.attempts if not attempt.error)
        return sorted(one for one in durations if one > seconds)

    @property
    def usual(self) -> float:
        """The median duration of a successful attempt, in seconds."""
        durations = sorted(attempt.ended - attempt.begun for attempt in self.attempts if not attempt.error)
        return durations[len(durations) // 2]

    @override
    def _run(self) -> None:
        running = []
        while not self._stop.wait(self._pause):
            running.append(threading.Thread(target=self._attempt, daemon=True))
            running[-1].start()
        for one in running:
            one.join(self._timeout + 5)

    def _attempt(self) -> None:
        self._prepare()
        begun, failure = time.monotonic(), ""
        host, port = self._address.hostname or "", self._address.port
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            connection.request("GET", "/", headers={"Connection": "close", "Accept": "text/html"})
            response = connection.getresponse()
            response.read()
            failure = "" if response.status == 200 else f"status {response.status}"
        except (OSError, http.client.HTTPException, socket.gaierror) as error:
            failure = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        self.attempts.append(Attempt(begun, time.monotonic(), failure))
