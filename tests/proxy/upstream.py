"""A server that replaces Ollama and whose every byte is controlled by the test, for what a real Ollama can't do.

It records the received bytes, and can stall, die mid-response, or send lines at exact times.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tests.proxy.httpd import OLLAMA_PORT


@dataclass(frozen=True)
class Arrived:
    """One request's bytes: up to the empty line, and as much of the rest as its Content-Length."""

    head: bytes
    body: bytes

    @property
    def first_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    def all(self, name: str) -> list[str]:
        """All values of a header, which reveals duplicates."""
        lines = (line.decode("latin-1").partition(":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip() for key, _, value in lines if key.lower() == name.lower()]


# Responds to a request by writing to the connection, which is closed afterwards. It must announce that: httpd keeps
# connections, and a POST that arrives at the moment of closing fails.
Reply = Callable[[Arrived, socket.socket], None]


def whole(body: bytes = b'{"done":true}\n', status: str = "200 OK", headers: str = "") -> Reply:
    """A response with its length."""

    def reply(_: Arrived, connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Connection: close\r\n{headers}\r\n".encode() + body)

    return reply


def words(count: int, pause: float, first_after: float = 0.0, ending: bytes = b"0\r\n\r\n") -> Reply:
    """A stream of `count` lines `{"at": monotonic seconds at which it was made}`, `pause` seconds apart, in chunks."""

    def reply(_: Arrived, connection: socket.socket) -> None:
        time.sleep(first_after)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n"
        )
        for number in range(count):
            if number:
                time.sleep(pause)
            line = b'{"at": %f}\n' % time.monotonic()
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        connection.sendall(ending)

    return reply


class Upstream:
    """Listens at the address on Ollama's port until the end of the block.

    Attributes:
        reply: how to respond; may be changed at any time.
        arrived: the requests, in order of completion.
        connections: their number, including those without a request.
    """

    def __init__(self, address: str, reply: Reply | None = None, port: int = OLLAMA_PORT) -> None:
        self.reply = reply or whole()
        self.arrived: list[Arrived] = []
        self.connections = 0
        self._listener = socket.create_server((address, port), backlog=256)
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Upstream:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and drop all connections, like a killed server; may be called twice."""
        for each in (self._listener, *list(self._open)):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(120)
        try:
            with connection:
                if request := _read(connection):
                    self.arrived.append(request)
                    self.reply(request, connection)
        except OSError:
            pass
        finally:
            self._open.discard(connection)


def _read(connection: socket.socket) -> Arrived | None:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    if Arrived(head, b"").all("Expect"):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int((Arrived(head, b"").all("Content-Length") or ["0"])[0])
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return Arrived(head, body)
