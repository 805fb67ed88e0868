"""A question, and its answer as it arrives: piece by piece, each with its time."""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hearth.doctor.http_client import Endpoint
from hearth.doctor.http_response import Answer, headers_of

# Enough pieces to tell a stream from a buffer, few enough for a slow card.
_QUESTION = {
    "prompt": "Count from one to ten, in words.",
    "stream": True,
    "options": {"num_predict": 32, "temperature": 0},
}


@dataclass(frozen=True)
class Piece:
    """One line: seconds from the question to its arrival, and Ollama's own time of making it (None if not given)."""

    arrived: float
    made: float | None


@dataclass(frozen=True)
class Streamed:
    """What came of a question.

    Attributes:
        answer: status and headers; its body where the status is not 200.
        pieces: the lines, in order.
        last: the line with `"done": true`; empty if it did not come.
        error: an `error` line of Ollama's, inside a 200.
        cut: how the connection ended before `last`; "" if it did not.
        waiting: nothing came within the patience, and nothing had come before.
    """

    answer: Answer
    pieces: tuple[Piece, ...] = ()
    last: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    cut: str = ""
    waiting: bool = False


def ask(way: Endpoint, path: str, model: str, patience: float) -> Streamed:
    """Ask the model for a few words.

    Args:
        patience: seconds without anything coming after which it is given up.

    Raises:
        OSError, http.client.HTTPException: it could not be asked, or what came back is no HTTP.
    """
    begun = time.monotonic()
    connection = way.open(patience)
    try:
        way.send(connection, "POST", path, {"model": model, **_QUESTION})
        try:
            reply = connection.getresponse()
        except TimeoutError:
            return Streamed(Answer(0, (), b""), waiting=True)
        answer = Answer(reply.status, headers_of(reply), b"", time.monotonic() - begun)
        if reply.status != 200:
            return Streamed(Answer(reply.status, answer.headers, reply.read(65536), answer.seconds))
        return _read(reply, answer, begun)
    finally:
        connection.close()


def _read(reply: http.client.HTTPResponse, answer: Answer, begun: float) -> Streamed:
    pieces: list[Piece] = []
    while True:
        try:
            line = reply.readline()
        except TimeoutError:
            if not pieces:
                return Streamed(answer, waiting=True)
            return Streamed(answer, tuple(pieces), cut="nothing more came, and the connection stayed open")
        except (OSError, http.client.HTTPException) as error:
            return Streamed(answer, tuple(pieces), cut=str(error) or type(error).__name__)
        if not line:
            return Streamed(answer, tuple(pieces), cut="the connection ended")
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            shown = line[:200].decode(errors="replace").strip()
            return Streamed(
                Answer(200, answer.headers, line), tuple(pieces), cut=f'a line that is not Ollama\'s: "{shown}"'
            )
        if error_line := event.get("error"):
            return Streamed(answer, tuple(pieces), error=str(error_line))
        pieces.append(Piece(time.monotonic() - begun, made_at(event.get("created_at"))))
        if event.get("done") is True:
            return Streamed(answer, tuple(pieces), event)


def made_at(stamp: object) -> float | None:
    """Seconds since 1970 of a `created_at`, which has nanoseconds."""
    if not isinstance(stamp, str):
        return None
    try:
        # More digits than six are more than datetime takes.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


@dataclass(frozen=True)
class Pace:
    """How an answer came: seconds over which it was made, and the longest that a piece was held back on the way."""

    made: float
    held: float

    @property
    def is_buffered(self) -> bool:
        """Pieces were held for longer than half of the time that the answer took to make, and noticeably."""
        return self.held > 0.5 and self.held > self.made / 2

    @property
    def can_be_told(self) -> bool:
        """The answer took long enough to make that a buffer would show."""
        return self.made > 1


def measure_pace(pieces: tuple[Piece, ...]) -> Pace | None:
    """The pace by the times that Ollama wrote into the pieces; None without such times.

    The clocks differ by something constant, which the piece that was quickest shows; what others took more is delay.
    """
    made = [piece.made for piece in pieces if piece.made is not None]
    if len(made) < 2 or len(made) != len(pieces):
        return None
    ways = [piece.arrived - at for piece, at in zip(pieces, made, strict=True)]
    return Pace(max(made) - min(made), max(ways) - min(ways))
