"""One answer of an HTTP server."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        headers: (lower-case name, value) pairs, so that a doubled one is seen.
        seconds: until its headers were there.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float = 0.0

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def header(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def error(self) -> str:
        """The `error` of a JSON body, as the proxy and Ollama write it; "" if there is none."""
        document = self.json()
        error = document.get("error", "") if isinstance(document, dict) else ""
        return str(error.get("message", "") if isinstance(error, dict) else error)


def headers_of(answer: http.client.HTTPResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in answer.getheaders())
