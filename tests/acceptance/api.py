"""The deployed proxy, called from outside with a client that sends exactly what it is told to."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# host:port → what is sent along to those that ask who calls; a test's own headers come before.
CREDENTIALS: dict[str, dict[str, str]] = {}


def basic(name: str, password: str) -> dict[str, str]:
    """As browsers send it."""
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def bearer(key: str) -> dict[str, str]:
    """As OpenAI's clients send it."""
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Answer:
    """One answer: status, headers as a list of (lower-case name, value), body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header, so that a doubled one is seen."""
        return [value for key, value in self.headers if key == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    url: str,
    method: str,
    path: str,
    body: bytes | Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> Answer:
    """Send one request; `body` as a mapping is sent as JSON. No redirect is followed, nothing is added but Host."""
    data = json.dumps(body).encode() if isinstance(body, Mapping) else body
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        wanted = {"Content-Type": "application/json"} if data is not None else {}
        connection.request(method, path, data, wanted | CREDENTIALS.get(parts.netloc, {}) | dict(headers or {}))
        answer = connection.getresponse()
        return Answer(
            status=answer.status,
            headers=tuple((name.lower(), value) for name, value in answer.getheaders()),
            body=answer.read(),
        )
    finally:
        connection.close()


@dataclass(frozen=True)
class Line:
    """One line of a stream and when it arrived (monotonic seconds)."""

    arrived: float
    text: str


def stream(url: str, path: str, body: Mapping[str, Any], timeout: float = 300) -> list[Line]:
    """The lines of a streamed answer, each with its time of arrival."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"} | CREDENTIALS.get(parts.netloc, {})
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        assert answer.status == 200, (answer.status, answer.read())
        lines = []
        while line := answer.readline():
            if line.strip():
                lines.append(Line(time.monotonic(), line.decode().strip()))
        return lines
    finally:
        connection.close()
