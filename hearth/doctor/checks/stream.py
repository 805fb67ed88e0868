"""A prompt, and its answer as it arrives: chunk by chunk, each with a timestamp."""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hearth.doctor.http_client import Endpoint
from hearth.doctor.http_response import Response, headers_of

# Enough tokens to distinguish streaming from buffering, few enough for a slow computer.
_PROMPT = {
    "prompt": "Count from one to ten, in words.",
    "stream": True,
    "options": {"num_predict": 32, "temperature": 0},
}


@dataclass(frozen=True)
class Chunk:
    """One line of the answer.

    Attributes:
        arrived: seconds from the request to its arrival.
        generated: Ollama's timestamp, in seconds since 1970; None if missing.
    """

    arrived: float
    generated: float | None


@dataclass(frozen=True)
class PromptResult:
    """The response to a prompt.

    Attributes:
        response: status and headers; the body too if the status is not 200.
        chunks: the lines, in order.
        last: the line with `"done": true`; empty if it did not arrive.
        error: of an `error` line from Ollama, in a response with status 200.
        cut: how the connection ended before `last`; "" if it did not.
        timed_out: nothing arrived within the patience, and nothing before.
    """

    response: Response
    chunks: tuple[Chunk, ...] = ()
    last: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    cut: str = ""
    timed_out: bool = False


def send_prompt(endpoint: Endpoint, path: str, model: str, patience: float) -> PromptResult:
    """Prompt the model for a short answer.

    Args:
        patience: seconds without any data after which to give up.

    Raises:
        OSError, http.client.HTTPException: the request could not be sent, or the response is not HTTP.
    """
    started = time.monotonic()
    connection = endpoint.open(patience)
    try:
        endpoint.send(connection, "POST", path, {"model": model, **_PROMPT})
        try:
            reply = connection.getresponse()
        except TimeoutError:
            return PromptResult(Response(0, (), b""), timed_out=True)
        response = Response(reply.status, headers_of(reply), b"", time.monotonic() - started)
        if reply.status != 200:
            return PromptResult(Response(reply.status, response.headers, reply.read(65536), response.seconds))
        return _read(reply, response, started)
    finally:
        connection.close()


def _read(reply: http.client.HTTPResponse, response: Response, started: float) -> PromptResult:
    chunks: list[Chunk] = []
    while True:
        try:
            line = reply.readline()
        except TimeoutError:
            if not chunks:
                return PromptResult(response, timed_out=True)
            return PromptResult(response, tuple(chunks), cut="no more data, but the connection stayed open")
        except (OSError, http.client.HTTPException) as error:
            return PromptResult(response, tuple(chunks), cut=str(error) or type(error).__name__)
        if not line:
            return PromptResult(response, tuple(chunks), cut="the connection was closed")
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            text = line[:200].decode(errors="replace").strip()
            return PromptResult(
                Response(200, response.headers, line), tuple(chunks), cut=f'a line not from Ollama: "{text}"'
            )
        if error_line := event.get("error"):
            return PromptResult(response, tuple(chunks), error=str(error_line))
        chunks.append(Chunk(time.monotonic() - started, parse_timestamp(event.get("created_at"))))
        if event.get("done") is True:
            return PromptResult(response, tuple(chunks), event)


def parse_timestamp(stamp: object) -> float | None:
    """Seconds since 1970 for a `created_at`, which has nanoseconds."""
    if not isinstance(stamp, str):
        return None
    try:
        # datetime accepts at most six digits.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


@dataclass(frozen=True)
class Pace:
    """Seconds over which an answer was generated, and the longest delay of a chunk on the path."""

    duration: float
    delay: float

    @property
    def is_buffered(self) -> bool:
        """Chunks were delayed noticeably, and by more than half of the time that the answer took to generate."""
        return self.delay > 0.5 and self.delay > self.duration / 2

    @property
    def is_conclusive(self) -> bool:
        """The answer took long enough to generate for buffering to be visible."""
        return self.duration > 1


def measure_pace(chunks: tuple[Chunk, ...]) -> Pace | None:
    """The pace, from Ollama's timestamps in the chunks; None without them.

    The clocks differ by a constant. The fastest chunk's transit is the reference; the others' excess is delay.
    """
    generated = [chunk.generated for chunk in chunks if chunk.generated is not None]
    if len(generated) < 2 or len(generated) != len(chunks):
        return None
    transits = [chunk.arrived - at for chunk, at in zip(chunks, generated, strict=True)]
    return Pace(max(generated) - min(generated), max(transits) - min(transits))
