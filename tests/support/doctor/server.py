"""A server whose every byte is the test's own, and worse: ports that are closed, or swallow every call."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What was asked: header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


# Answers a request by writing to the connection, which is closed afterwards.
World = Callable[[Request, socket.socket], None]


def read_request(connection: socket.socket) -> Request | None:
    """One request, or None for what is none (a TLS handshake, say)."""
    with connection.makefile("rb") as stream:
        first = stream.readline(8192).decode("latin-1").split()
        if len(first) != 3 or not first[2].startswith("HTTP/"):
            return None
        head = [line.decode("latin-1").partition(":") for line in iter(stream.readline, b"\r\n") if line]
        headers = {name.lower(): value.strip() for name, _, value in head}
        return Request(first[0], first[1], headers, stream.read(int(headers.get("content-length", 0))))


@contextmanager
def serving(
    world: World, *, port: int = 0, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve the world until the end of the block; yields the port."""
    listener = socket.create_server((address, port), backlog=16)
    threading.Thread(target=_accept, args=(listener, world, tls), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Wakes the thread; closing alone would not.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, world: World, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, world, tls), daemon=True).start()


def _serve(connection: socket.socket, world: World, tls: ssl.SSLContext | None) -> None:
    connection.settimeout(20)
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            request = read_request(connection)
            if request:
                world(request, connection)
            else:
                # As httpd does with a TLS handshake.
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    except OSError:
        pass


@contextmanager
def answering(first: bytes, *, then: Callable[[socket.socket], None] | None = None) -> Iterator[int]:
    """A program that is no web server: says `first` at once, or does `then` with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            connection.sendall(first)
            if then:
                then(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in kept:
            connection.close()


@contextmanager
def black_hole(port: int = 0) -> Iterator[int]:
    """A port to which calls vanish: its queue is full, so the kernel drops each further SYN, as a firewall would."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(0)
    waiting: list[socket.socket] = []
    try:
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
            waiting.append(caller)
        yield listener.getsockname()[1]
    finally:
        for caller in waiting:
            caller.close()
        listener.close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
