"""A second request hidden in the first: one response, then the connection is closed, and nothing reaches Ollama."""

from __future__ import annotations

from tests.support.proxy_rules.case import NO_ANSWER, OK, Case, Expected, R, raw, sends
from tests.support.proxy_rules.origins import EVIL

HIDDEN = b"0\r\n\r\nPOST /api/ollama HTTP/1.1\r\nHost: pi\r\n\r\n"
FIRST = f"POST {R} HTTP/1.1"
HOST = "Host: <netloc>"
LENGTH = f"Content-Length: {len(HIDDEN)}"
CHUNKED = "Transfer-Encoding: chunked"


def hides(name: str, *lines: str | bytes, status: tuple[int, ...] = (400,), number: int = 25) -> Case:
    """The lines as a request's head, then the hidden request."""
    return Case(number, name, raw(*lines, body=HIDDEN), Expected(status, closed=True, lacks=b"Set-Cookie"))


def encoded(name: str, *lines: str | bytes) -> Case:
    """The same with an encoding: not understood, or understood and refused for lack of a length."""
    return hides(name, FIRST, HOST, *lines, status=(400, 411))


SMUGGLING = [
    encoded("length and chunks", LENGTH, CHUNKED),
    encoded("chunks and length", CHUNKED, LENGTH),
    encoded("an unknown encoding", "Transfer-Encoding: xchunked"),
    encoded("chunks, then another encoding", "Transfer-Encoding: chunked, identity"),
    encoded("chunks of gzip", "Transfer-Encoding: gzip, chunked"),
    encoded("chunks twice", CHUNKED, CHUNKED),
    encoded("identity", "Transfer-Encoding: identity", LENGTH),
    encoded("tab before the encoding", "Transfer-Encoding:\tchunked", LENGTH),
    encoded("vertical tab before the encoding", "Transfer-Encoding: \x0bchunked", LENGTH),
    encoded("folded encoding", "Transfer-Encoding:\r\n chunked", LENGTH),
    encoded("bare line feed in a value", "X: a\nTransfer-Encoding: chunked", LENGTH),
    encoded("bare carriage return in a value", "X: a\rTransfer-Encoding: chunked", LENGTH),
    hides("space before the encoding's colon", FIRST, HOST, "Transfer-Encoding : chunked", LENGTH),
    hides("space before the length's colon", FIRST, HOST, f"Content-Length : {len(HIDDEN)}"),
    hides("two lengths", FIRST, HOST, "Content-Length: 5", "Content-Length: 6"),
    hides("twice the same length", FIRST, HOST, LENGTH, LENGTH),
    hides("a list of lengths", FIRST, HOST, "Content-Length: 5, 5"),
    *(
        hides(f"length of {text}", FIRST, HOST, f"Content-Length: {text}")
        for text in ("-1", "+5", "0x10", "1 0", "5.0", "1e1", "18446744073709551616", "99999999999999999999")
    ),
    hides("NUL in a header's name", FIRST, HOST, b"X\x00: y"),
    hides("NUL in a header's value", FIRST, HOST, b"X: a\x00b"),
    hides("no colon", FIRST, HOST, "Transfer-Encoding", LENGTH),
    hides("two hosts", FIRST, HOST, "Host: evil.example", LENGTH),
    hides("no host", FIRST, LENGTH),
    hides("an invalid version", f"{FIRST}x", HOST, LENGTH),
    hides("two spaces", f"POST  {R} HTTP/1.1", HOST, LENGTH),
    hides("a folded line before the headers", FIRST, " X: folded", HOST, LENGTH),
    hides("no version", f"POST {R}", HOST, LENGTH, status=(400, 405, 505)),
    hides("line feed in Origin", FIRST, HOST, f"Origin: {EVIL}\nSet-Cookie: a=b", LENGTH, status=(400, 403), number=26),
    hides("return in Origin", FIRST, HOST, f"Origin: {EVIL}\rSet-Cookie: a=b", LENGTH, status=(400, 403), number=26),
    Case(48, "HTTP/0.9", lambda _: (b"GET /\r\n",), Expected((400, NO_ANSWER), lacks=b"<script")),
    Case(48, "TLS", lambda _: (b"\x16\x03\x01\x00\xc4\x01" + bytes(199) + b"\r\n\r\n",), Expected((400, NO_ANSWER))),
    Case(48, "HTTP/2", lambda _: (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),), Expected((400, 501, 505))),
    # The length must not be removed as a hop-by-hop header: the body would become a separate request to Ollama.
    Case(49, "length as a hop-by-hop header", sends("POST", R, "Connection: Content-Length"), OK),
    Case(49, "an upgrade to WebSocket", sends("POST", R, "Connection: Upgrade", "Upgrade: websocket"), OK),
    Case(
        49,
        "an upgrade to HTTP/2",
        sends(
            "POST", R, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
        ),
        OK,
    ),
]
