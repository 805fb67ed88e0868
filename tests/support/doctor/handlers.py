"""Handlers that respond like Hearth's proxy, Ollama, and other servers and proxies. See `docs/proxy.md`."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.support.doctor.server import Handler, Request

MODEL = "tinyllama:latest"
PAGE = b'<!doctype html><title>Kitchen</title><script type="module" src="chat.js"></script>'


def reply(
    connection: socket.socket,
    status: int,
    body: bytes | Mapping[str, Any] = b"",
    headers: Sequence[tuple[str, str]] = (),
    clock: timedelta = timedelta(),
) -> None:
    """Send a complete response; a mapping is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    date = format_datetime(datetime.now(UTC) + clock, usegmt=True)
    pairs = [("Server", "Apache"), ("Date", date), ("Content-Length", str(len(data))), *headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    connection.sendall(f"HTTP/1.1 {status} Because\r\n{head}Connection: close\r\n\r\n".encode() + data)


def responding(status: int, body: bytes | Mapping[str, Any] = b"", *headers: tuple[str, str]) -> Handler:
    """A handler that always sends the same response."""
    return lambda _, connection: reply(connection, status, body, headers)


def line(number: int, seconds: float, **more: Any) -> bytes:
    """A line of an answer, generated `seconds` after the first one."""
    made = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    stamp = made.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"
    return json.dumps({"model": MODEL, "created_at": stamp, "response": f"{number} ", "done": False, **more}).encode()


def stream(
    chunks: int = 5,
    every: float = 0.3,
    *,
    before: float = 0.0,
    buffered: bool = False,
    ends: bool = True,
    whole: bool = True,
    error: str = "",
) -> Handler:
    """A streamed answer of Ollama.

    Args:
        every: seconds between the chunks.
        before: seconds until the first chunk.
        buffered: send everything at the end, like a buffering proxy.
        ends: the last line has `"done": true`.
        whole: the chunked body ends properly.
        error: message of an error line at the end.
    """

    def handle(_: Request, connection: socket.socket) -> None:
        time.sleep(before)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        held = b""
        for number in range(chunks):
            last = {"done": True, "eval_count": chunks, "eval_duration": 10**9, "load_duration": 2 * 10**9}
            text = line(number, number * every, **(last if ends and number == chunks - 1 else {})) + b"\n"
            held += f"{len(text):x}\r\n".encode() + text + b"\r\n"
            if not buffered:
                connection.sendall(held)
                held = b""
            if number < chunks - 1:
                time.sleep(every)
        if error:
            text = json.dumps({"error": error}).encode() + b"\n"
            held += f"{len(text):x}\r\n".encode() + text + b"\r\n"
        connection.sendall(held + (b"0\r\n\r\n" if whole else b""))

    return handle


def silent(*, loaded: bool, seconds: float = 60) -> Handler:
    """An Ollama that sends nothing for `seconds`, but reports that the model is in memory if `loaded`.

    Like one that is stuck or answers other prompts first (`loaded`), or one that still loads the model.
    """

    def handle(request: Request, connection: socket.socket) -> None:
        if loaded and "prompt" not in json.loads(request.body):
            return reply(connection, 200, {"model": MODEL, "response": "", "done": True, "done_reason": "load"})
        time.sleep(seconds)
        return None

    return handle


def hearth(
    paths: Mapping[str, Handler] | None = None,
    *,
    origins: Sequence[str] = (),
    clock: timedelta = timedelta(),
    names: Sequence[str] = ("127.0.0.1", "localhost"),
) -> Handler:
    """Hearth's proxy, with other handlers for some of its paths."""
    models = {"models": [{"name": MODEL, "size": 13_000_000}, {"name": "big:8b", "size": 5_000_000_000}]}
    default: dict[str, Handler] = {
        "/": lambda _, connection: reply(connection, 200, PAGE, clock=clock),
        "/api/version": responding(200, {"version": "0.17.4"}),
        "/api/tags": responding(200, models),
        "/api/ollama": stream(3, 0.01),
    }

    def handle(request: Request, connection: socket.socket) -> None:
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in names and host not in names:
            return reply(connection, 421, {"error": "host name not served here"})
        origin = request.headers.get("origin", "")
        allowed = [("Access-Control-Allow-Origin", origin)] if origin in origins else []
        if request.path == "/api/ollama" and request.method == "OPTIONS":
            return reply(connection, 204, b"", allowed)
        if origin and not allowed and origin != f"http://{host}":
            return reply(connection, 403, {"error": "origin not allowed"})
        if request.path == "/api/ollama" and request.body == b"{}":
            return reply(connection, 400, {"error": "model is required"}, allowed)
        found = (dict(default) | dict(paths or {})).get(request.path, responding(404, b"<h1>Not Found</h1>"))
        return found(request, connection)

    return handle


def ollama(request: Request, connection: socket.socket) -> None:
    """Ollama itself: its own page, and an empty 403 for all origins except its own."""
    origin = request.headers.get("origin", "")
    if origin and origin != f"http://{request.headers['host']}":
        reply(connection, 403)
    elif request.path == "/":
        reply(connection, 200, b"Ollama is running")
    elif request.path == "/api/version":
        reply(connection, 200, {"version": "0.17.4"})
    elif request.path == "/api/tags":
        reply(connection, 200, {"models": [{"name": MODEL, "size": 1}]})
    elif request.body == b"{}":
        reply(connection, 400, {"error": "model is required"})
    else:
        stream(3, 0.01)(request, connection)


def forward_proxy(*, buffers: bool = False, refuses: bool = False, requires: str = "") -> Handler:
    """An HTTP proxy like a company's: it forwards, buffers responses, or refuses hosts that are not on the internet.

    Args:
        requires: the `Proxy-Authorization` without which it forwards nothing.
    """

    def handle(request: Request, connection: socket.socket) -> None:
        if refuses:
            return reply(connection, 503, b"<html><title>Proxy</title><h1>Host not found</h1></html>")
        if requires and request.headers.pop("proxy-authorization", "") != requires:
            return reply(connection, 407)
        authority, _, path = request.path.removeprefix("http://").partition("/")
        host, _, port = authority.partition(":")
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        with socket.create_connection((host, int(port)), timeout=20) as server:
            server.sendall(f"{request.method} /{path} HTTP/1.1\r\n{head}\r\n".encode() + request.body)
            held = b""
            while chunk := server.recv(65536):
                held += chunk
                if not buffers:
                    connection.sendall(held)
                    held = b""
            connection.sendall(held)
        return None

    return handle
