"""Clients that use the lab's host while something is done to it, and count what they see."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.lab.machine import url


@dataclass
class Told:
    """One streamed answer as a client sees it.

    Attributes:
        status: HTTP status; 0 where none came.
        lines: what came, each a JSON object.
        broken: how the connection failed, "" where HTTP says that the answer was whole.
    """

    status: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""

    @property
    def whole(self) -> bool:
        """Status 200, an orderly end, and the line that says so."""
        return self.status == 200 and not self.broken and bool(self.lines) and self.lines[-1].get("done") is True


def ask(words: int, timeout: float = 120, told: Told | None = None) -> Told:
    """Stream one answer of so many words from the model that never ends. `told`: filled while it comes."""
    told = Told() if told is None else told
    # One thread: under emulation, the model's threads would wait for each other on every processor that a deploy needs.
    options = {"num_predict": words, "num_thread": 1}
    body: Mapping[str, Any] = {"model": "tinystory", "prompt": "go", "options": options}
    parts = urlsplit(url())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", "/api/ollama", json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told.status = answer.status
        # read1 and not readline: of a chunked answer that breaks off, readline hides the break.
        rest = b""
        while piece := answer.read1(65536):
            *lines, rest = (rest + piece).split(b"\n")
            told.lines += [json.loads(line) for line in lines if line.strip()]
        if rest.strip():
            told.lines.append(json.loads(rest))
    except (OSError, http.client.HTTPException, ValueError) as error:
        told.broken = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return told


class Talker(threading.Thread):
    """A client that reads one long answer in the background."""

    def __init__(self, words: int, timeout: float = 300) -> None:
        super().__init__(daemon=True)
        self.told = Told()
        self._words, self._timeout = words, timeout

    def run(self) -> None:
        ask(self._words, self._timeout, self.told)


class PromptLoop:
    """A client that asks for one short answer after another, as long as the block runs."""

    def __init__(self, words: int = 30) -> None:
        self.answers: list[Told] = []
        self._words = words
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    @property
    def failed(self) -> list[Told]:
        """Requests that were refused."""
        return [told for told in self.answers if not told.whole and not told.lines]

    @property
    def cut(self) -> list[Told]:
        """Streams that began, and did not end as they should."""
        return [told for told in self.answers if not told.whole and told.lines]

    def _ask(self) -> None:
        while not self._stop.is_set():
            self.answers.append(ask(self._words))

    def __enter__(self) -> PromptLoop:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(180)


@dataclass(frozen=True)
class Attempt:
    """One attempt at the page over a new connection: when (monotonic seconds), and what was wrong ("" for nothing)."""

    begun: float
    ended: float
    wrong: str


class ConnectionLoop:
    """A client that asks for the page over a new connection every `pause` seconds, as long as the block runs.

    Each in its own time: one that has to wait keeps no other from trying.

    Args:
        pause: see above.
        patience: seconds that one is waited for.
        at: the page's URL; that of the lab by default.
        prepare: done in each attempt's thread first.
    """

    def __init__(
        self, pause: float = 0.1, patience: float = 10, at: str = "", prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.attempts: list[Attempt] = []
        self._pause, self._patience, self._prepare = pause, patience, prepare
        self._address = urlsplit(at or url())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def gaps(self, late: float) -> list[float]:
        """Seconds between the beginnings of the first and the last failed attempt of each gap, and one pause.

        So the time in which attempts fail is never said shorter than it was. A gap lasts until all are answered within
        `late` seconds for a whole second; what was answered, but late, does not make it longer.
        """
        found: list[list[Attempt]] = [[]]
        for attempt in sorted(self.attempts, key=lambda attempt: attempt.begun):
            if attempt.wrong or attempt.ended - attempt.begun > late:
                if found[-1] and attempt.begun - found[-1][-1].begun > 1:
                    found.append([])
                found[-1].append(attempt)
        failed = [[attempt.begun for attempt in gap if attempt.wrong] for gap in found]
        return [gap[-1] - gap[0] + self._pause for gap in failed if gap]

    @property
    def failed(self) -> list[Attempt]:
        """Those that were not answered as they should be."""
        return [attempt for attempt in self.attempts if attempt.wrong]

    def slow(self, seconds: float) -> list[float]:
        """Seconds that those answers took that took longer than `seconds`."""
        took = (attempt.ended - attempt.begun for attempt in self.attempts if not attempt.wrong)
        return sorted(one for one in took if one > seconds)

    @property
    def usual(self) -> float:
        """Seconds that an answer takes, the median."""
        took = sorted(attempt.ended - attempt.begun for attempt in self.attempts if not attempt.wrong)
        return took[len(took) // 2]

    def _run(self) -> None:
        under_way = []
        while not self._stop.wait(self._pause):
            under_way.append(threading.Thread(target=self._attempt, daemon=True))
            under_way[-1].start()
        for one in under_way:
            one.join(self._patience + 5)

    def _attempt(self) -> None:
        self._prepare()
        begun, wrong = time.monotonic(), ""
        host, port = self._address.hostname or "", self._address.port
        connection = http.client.HTTPConnection(host, port, timeout=self._patience)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            wrong = "" if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException, socket.gaierror) as error:
            wrong = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        self.attempts.append(Attempt(begun, time.monotonic(), wrong))

    def __enter__(self) -> ConnectionLoop:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(self._patience + 30)
