"""The proxy under test, and the number of requests that reached its Ollama."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Protocol

from hearth.settings.model import Settings
from hearth.settings.types import size_in_bytes
from tests.support.proxy_rules.wire import Address


class NoListedOrigin(Exception):
    """A case needs a listed origin, and the proxy has none."""


class Counter(Protocol):
    """Counts requests that reached Ollama."""

    def requests(self) -> int:
        """The number of completed requests, without those of Ollama's health check."""


@dataclass(frozen=True)
class ProxyTarget:
    """A proxy under test.

    Attributes:
        address: where to connect.
        settings: its settings.
        ollama: counts the requests that reached Ollama.
        model: for prompts; "" for the first in the settings.
    """

    address: Address
    settings: Settings
    ollama: Counter
    model: str = ""

    @property
    def netloc(self) -> str:
        """What a browser would send as `Host`."""
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def listed(self) -> str | None:
        """A listed origin, or None."""
        return next((origin for origin in self.settings.allowed_origins if "*" not in origin), None)

    @property
    def limit(self) -> int:
        """The largest body in bytes."""
        return size_in_bytes(self.settings.proxy_max_body)

    def prompt(self, size: int = 0) -> bytes:
        """The body of a prompt for one token, padded with leading spaces to `size` bytes: Ollama stops reading at the
        end of the JSON, and disconnects clients that still send."""
        model = self.model or self.settings.ollama_models[0]
        body = {"model": model, "prompt": "hi", "stream": False, "options": {"num_predict": 1}}
        return json.dumps(body).encode().rjust(size)

    def fill(self, text: str) -> str:
        """Replace the placeholders `<…>` in `text`: own and listed (origins), scheme, netloc, host, port, limit, model.

        Raises:
            NoListedOrigin: it contains a listed origin, but none is listed.
        """
        listed = self.listed or ""
        scheme = "http" if self.settings.proxy_tls == "off" else "https"
        words = {
            "<listed>": listed,
            "<LISTED>": listed.upper(),
            "<dotless>": listed.replace(".", "x", 1),
            "<scheme>": scheme,
            "<own>": f"{scheme}://{self.netloc}",
            "<netloc>": self.netloc,
            "<host>": self.address[0],
            "<port>": str(self.address[1]),
            "<limit+1>": str(self.limit + 1),
            "<model>": self.model or self.settings.ollama_models[0],
        }
        for word, value in words.items():
            if word in text and not value:
                raise NoListedOrigin
            text = text.replace(word, value)
        return text

    def settled(self, count: int, seconds: float = 20) -> int:
        """The number of requests, once it is `count` or more (they are logged when they end), or after `seconds`."""
        until = time.monotonic() + seconds
        while (number := self.ollama.requests()) < count and time.monotonic() < until:
            time.sleep(0.02)
        return number
