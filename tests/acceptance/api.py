"""Requests to the deployed proxy from outside, with a client that adds nothing to them."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# host:port → credentials to send if access is restricted; a test's own headers take precedence.
CREDENTIALS: dict[str, dict[str, str]] = {}


def basic(name: str, password: str) -> dict[str, str]:
    """The header as sent by browsers."""
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def bearer(key: str) -> dict[str, str]:
    """The header as sent by OpenAI's clients."""
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Answer:
    """One response: status, headers as (lower-case name, value), body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """All values of a header, which reveals duplicates."""
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
    """Send one request; `body` as a mapping is sent as JSON. Redirects are not followed; only Host is added, and for
    "/" a browser's Accept: programs without one get Ollama's own text instead of the page."""
    data = json.dumps(body).encode() if isinstance(body, Mapping) else body
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        defaults = {"Content-Type": "application/json"} if data is not None else {}
        if urlsplit(path).path == "/":
            defaults["Accept"] = "text/html"
        connection.request(method, path, data, defaults | CREDENTIALS.get(parts.netloc, {}) | dict(headers or {}))
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
    """The lines of a streamed response, each with its time of arrival."""
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
