"""A client that sends arbitrary bytes, including invalid HTTP, and receives every response."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.acceptance.api import Answer

Address = tuple[str, int]


@dataclass(frozen=True)
class Received:
    """What was received over one connection.

    Attributes:
        answers: in order, including those with status 1xx.
        closed: whether the server closed the connection.
        seconds: from the last byte sent to the end of listening.
        left: bytes after the last complete response, of an interrupted one.
    """

    answers: tuple[Answer, ...]
    closed: bool
    seconds: float
    left: bytes = b""

    @property
    def final(self) -> tuple[Answer, ...]:
        """The responses without 1xx."""
        return tuple(answer for answer in self.answers if answer.status >= 200)


def exchange(
    address: Address, *pieces: bytes, heads: bool = False, quiet: float = 3.0, timeout: float = 120
) -> Received:
    """Send the pieces over one connection and receive until it is closed, or until it is idle.

    Args:
        pieces: sent one after another, each in a separate packet.
        heads: the requests are HEAD, whose responses have no body.
        quiet: seconds without a byte after a complete response that count as the end.
        timeout: seconds to wait for a complete response.
    """
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # refused while sending; the response can still be read
                break
        return listen(connection, heads, quiet, timeout)


def listen(connection: socket.socket, heads: bool = False, quiet: float = 3.0, timeout: float = 120) -> Received:
    """Receive all responses on a connection; arguments as for `exchange`."""
    begun = time.monotonic()
    received, closed = b"", False
    answers: tuple[Answer, ...] = ()
    left = b""
    while not closed:
        done = bool(answers) and not left and answers[-1].status >= 200
        connection.settimeout(quiet if done else max(0.01, begun + timeout - time.monotonic()))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            break
        except ConnectionResetError:
            piece = b""
        closed = not piece
        received += piece
        answers, left = parse(received, heads, closed)
    return Received(answers, closed, time.monotonic() - begun, left)


def parse(content: bytes, heads: bool = False, closed: bool = True) -> tuple[tuple[Answer, ...], bytes]:
    """The complete responses at the beginning of `content`, and the remaining bytes."""
    answers: list[Answer] = []
    while True:
        found = _answer(content, heads, closed)
        if found is None:
            return tuple(answers), content
        answer, content = found
        answers.append(answer)


def _answer(content: bytes, heads: bool, closed: bool) -> tuple[Answer, bytes] | None:
    head, separator, rest = content.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"HTTP/1."):
        # HTTP/0.9 has no head, only a body. Status 9 stands for it.
        return (Answer(9, (), content), b"") if closed and content and not content.startswith(b"HTTP/1.") else None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    values = dict(headers)
    if heads or status < 200 or status in (204, 304):
        return Answer(status, headers, b""), rest
    if values.get("transfer-encoding") == "chunked":
        unpacked = _unchunked(rest)
        return (Answer(status, headers, unpacked[0]), unpacked[1]) if unpacked else None
    if "content-length" in values:
        length = int(values["content-length"])
        return (Answer(status, headers, rest[:length]), rest[length:]) if len(rest) >= length else None
    return (Answer(status, headers, rest), b"") if closed else None


def _unchunked(content: bytes) -> tuple[bytes, bytes] | None:
    """(body, remaining bytes) of a chunked body, or None if its last chunk is missing."""
    body = b""
    while True:
        size, separator, rest = content.partition(b"\r\n")
        if not separator:
            return None
        length = int(size.partition(b";")[0], 16)
        if len(rest) < length + 2:
            return None
        if not length:
            return body, rest[2:]
        body, content = body + rest[:length], rest[length + 2 :]


def lines_of(*lines: str | bytes) -> bytes:
    """The lines with CRLF after each, as a request's head; text is latin-1."""
    return b"".join((line if isinstance(line, bytes) else line.encode("latin-1")) + b"\r\n" for line in lines)


def request(
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]],
    body: bytes = b"",
    version: str = "HTTP/1.1",
) -> bytes:
    """A request with exactly these headers, in this order."""
    head = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers), ""]
    return lines_of(*head) + body
