"""One response of an HTTP server."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    """One response.

    Attributes:
        headers: (lower-case name, value) pairs, so that duplicates are kept.
        seconds: until the headers arrived.
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
        """The body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def error(self) -> str:
        """The `error` of a JSON body, in the format of the proxy and of Ollama; "" if there is none."""
        document = self.json()
        error = document.get("error", "") if isinstance(document, dict) else ""
        return str(error.get("message", "") if isinstance(error, dict) else error)


def headers_of(response: http.client.HTTPResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in response.getheaders())
