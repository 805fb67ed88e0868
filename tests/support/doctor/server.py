"""A server that sends whatever bytes a test needs, and ports that are closed or drop connections."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


# Responds to a request by writing to the connection, which is closed afterwards.
Handler = Callable[[Request, socket.socket], None]


def read_request(connection: socket.socket) -> Request | None:
    """One request, or None if it is not HTTP (a TLS handshake, for example)."""
    with connection.makefile("rb") as stream:
        first = stream.readline(8192).decode("latin-1").split()
        if len(first) != 3 or not first[2].startswith("HTTP/"):
            return None
        head = [line.decode("latin-1").partition(":") for line in iter(stream.readline, b"\r\n") if line]
        headers = {name.lower(): value.strip() for name, _, value in head}
        return Request(first[0], first[1], headers, stream.read(int(headers.get("content-length", 0))))


@contextmanager
def serving(
    handler: Handler, *, port: int = 0, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Run the handler until the end of the block; yields the port."""
    listener = socket.create_server((address, port), backlog=16)
    threading.Thread(target=_accept, args=(listener, handler, tls), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Wakes the thread; close() alone would not.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, handler: Handler, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, handler, tls), daemon=True).start()


def _serve(connection: socket.socket, handler: Handler, tls: ssl.SSLContext | None) -> None:
    connection.settimeout(20)
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            request = read_request(connection)
            if request:
                handler(request, connection)
            else:
                # httpd does the same with a TLS handshake.
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    except OSError:
        pass


@contextmanager
def non_http_server(first: bytes, *, then: Callable[[socket.socket], None] | None = None) -> Iterator[int]:
    """A server that does not speak HTTP: sends `first` at once, then calls `then` with each connection."""
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
    """A port that drops connections: its backlog is full, so the kernel drops each further SYN, like a firewall."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(0)
    waiting: list[socket.socket] = []
    try:
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        yield listener.getsockname()[1]
    finally:
        for client in waiting:
            client.close()
        listener.close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
