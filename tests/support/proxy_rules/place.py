"""Where the cases run: a proxy that can be called, and what its Ollama was asked."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Protocol

from hearth.settings.model import Settings
from hearth.settings.types import size_in_bytes
from tests.support.proxy_rules.wire import Address


class NoListedOrigin(Exception):
    """A case needs a listed origin, and the place has none."""


class Counter(Protocol):
    """Counts what reached Ollama."""

    def requests(self) -> int:
        """How many requests Ollama has answered so far, without those of its own health check."""


@dataclass(frozen=True)
class Place:
    """A proxy as seen from here.

    Attributes:
        address: where to connect.
        settings: what it was made from.
        ollama: counts what reached its Ollama.
        model: to ask; "" for the first of the settings.
    """

    address: Address
    settings: Settings
    ollama: Counter
    model: str = ""

    @property
    def netloc(self) -> str:
        """What a browser would write into `Host`."""
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def listed(self) -> str | None:
        """A listed origin, or None where none is."""
        return next((origin for origin in self.settings.allowed_origins if "*" not in origin), None)

    @property
    def limit(self) -> int:
        """The largest body in bytes."""
        return size_in_bytes(self.settings.proxy_max_body)

    def question(self, size: int = 0) -> bytes:
        """A question to the model that makes one word, behind spaces up to `size` bytes: Ollama reads no further
        than its end, and hangs up on who still sends."""
        model = self.model or self.settings.ollama_models[0]
        wish = {"model": model, "prompt": "hi", "stream": False, "options": {"num_predict": 1}}
        return json.dumps(wish).encode().rjust(size)

    def fill(self, text: str) -> str:
        """`text` with its words in `<…>` filled in: own and listed (origins), scheme, netloc, host, port, limit.

        Raises:
            NoListedOrigin: it has a listed origin in it, and none is listed here.
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
        }
        for word, value in words.items():
            if word in text and not value:
                raise NoListedOrigin
            text = text.replace(word, value)
        return text

    def settled(self, count: int, seconds: float = 20) -> int:
        """The number of requests once it is `count` or more (the log has one when it is over), else at the end."""
        until = time.monotonic() + seconds
        while (seen := self.ollama.requests()) < count and time.monotonic() < until:
            time.sleep(0.02)
        return seen
