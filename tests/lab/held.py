"""Responses to other clients, which occupy a model, the proxy's slots or Ollama's queue."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.acceptance.api import call
from tests.lab.machine import url


@contextmanager
def held(count: int = 1, at: str = "") -> Iterator[None]:
    """While the block runs, tinystory, which never ends by itself, answers one prompt, and `count - 1` wait.

    Args:
        at: the page's address, without a trailing slash; "" for the lab's.
    """
    parts = urlsplit(at or url())
    sockets: list[socket.socket] = []
    body = json.dumps({"model": "tinystory", "prompt": "go", "options": {"num_predict": -1}})
    try:
        for number in range(count):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
            connection.request("POST", "/api/ollama", body, {"Content-Type": "application/json"})
            sockets.append(connection.sock)
            if number == 0:
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                assert json.loads(answer.readline())["response"]
        yield
    finally:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def refusal(model: str, timeout: float = 10) -> str:
    """Why Ollama or the proxy refuses to load a model; "" if it does not, or after `timeout` seconds."""
    try:
        answer = call(url(), "POST", "/api/chat", {"model": model, "messages": [], "stream": False}, timeout=timeout)
    except TimeoutError:
        return ""
    return "" if answer.status == 200 else str(answer.json()["error"])
