"""Bodies need a length within the limit; heads must not be too large."""

from __future__ import annotations

from tests.support.proxy_rules.case import NO_ANSWER, OK, Case, Expected, R, raw, sends
from tests.support.proxy_rules.target import ProxyTarget

TOO_LONG = Expected((413,), error=True, closed=True)
NO_LENGTH = Expected((411,), error=True, closed=True)
CHUNKS = ("Host: <netloc>", "Transfer-Encoding: chunked", "Content-Type: application/json")
COOKIES = "Cookie: " + "; ".join(f"c{number}={'v' * 990}" for number in range(12))
BODY = b"2\r\n{}\r\n0\r\n\r\n"


def largest(proxy: ProxyTarget) -> tuple[bytes, ...]:
    """A prompt of exactly the maximum size."""
    return sends(body=proxy.prompt(proxy.limit))(proxy)


SIZES = [
    Case(21, "a byte too much", sends(length="<limit+1>", body=b""), TOO_LONG),
    Case(
        21, "a byte too much, waiting", sends("POST", R, "Expect: 100-continue", length="<limit+1>", body=b""), TOO_LONG
    ),
    Case(
        21,
        "a byte too much, from a listed page",
        sends("POST", R, "Origin: <listed>", length="<limit+1>", body=b""),
        Expected((413,), error=True, permits="<listed>"),
    ),
    Case(21, "terabytes", sends(length="99999999999999", body=b""), TOO_LONG),
    Case(22, "chunks", raw(f"POST {R} HTTP/1.1", *CHUNKS, body=BODY), NO_LENGTH),
    Case(22, "no length", sends(length="", body=b""), Expected((411,), error=True)),
    Case(
        24,
        "a small body that waits for 100",
        sends("POST", R, "Expect: 100-continue"),
        Expected((200,), 1, interim=(100,)),
    ),
    Case(24, "an unknown expectation", sends("POST", R, "Expect: 200-ok"), Expected((417,))),
    # Other methods can have bodies as well, which would be forwarded to Ollama.
    Case(46, "GET with chunks", raw("GET /api/tags HTTP/1.1", *CHUNKS, body=BODY), NO_LENGTH),
    Case(46, "GET with a byte too much", sends("GET", "/api/tags", length="<limit+1>", body=b""), TOO_LONG),
    Case(
        46,
        "the page with too long a body",
        sends("GET", "/", length="99999999", body=b""),
        Expected((200, 413, NO_ANSWER)),
    ),
    Case(47, "a path of 5000 characters", sends("GET", "/" + "a" * 5000), Expected((414,), closed=True)),
    Case(
        47,
        "a header of 17000 characters",
        sends("GET", "/api/tags", "X-Long: " + "a" * 17000),
        Expected((400,), closed=True),
    ),
    # Of other programs on the same host name; browsers send them to every port.
    Case(
        57, "cookies of 12000 characters, the page", sends("GET", "/", COOKIES), Expected((200,), contains=b"<script")
    ),
    Case(57, "cookies of 12000 characters, a prompt", sends("POST", R, COOKIES), OK),
    Case(47, "60 headers", sends("GET", "/api/tags", *(f"X-{n}: a" for n in range(60))), Expected((400,), closed=True)),
]
BIG = [Case(23, "exactly the limit", largest, OK)]
