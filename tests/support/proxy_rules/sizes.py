"""Bodies of a length that is told and of no more than the limit; heads that are not too large either."""

from __future__ import annotations

from tests.support.proxy_rules.case import NO_ANSWER, OK, Case, R, Want, asks, raw
from tests.support.proxy_rules.place import Place

TOO_LONG = Want((413,), error=True, closed=True)
NO_LENGTH = Want((411,), error=True, closed=True)
CHUNKS = ("Host: <netloc>", "Transfer-Encoding: chunked", "Content-Type: application/json")
BODY = b"2\r\n{}\r\n0\r\n\r\n"


def whole(place: Place) -> tuple[bytes, ...]:
    """A question of exactly the size that is allowed."""
    return asks(body=place.question(place.limit))(place)


SIZES = [
    Case(21, "a byte too much", asks(length="<limit+1>", body=b""), TOO_LONG),
    Case(
        21, "a byte too much, waiting", asks("POST", R, "Expect: 100-continue", length="<limit+1>", body=b""), TOO_LONG
    ),
    Case(
        21,
        "a byte too much, from a listed page",
        asks("POST", R, "Origin: <listed>", length="<limit+1>", body=b""),
        Want((413,), error=True, permits="<listed>"),
    ),
    Case(21, "terabytes", asks(length="99999999999999", body=b""), TOO_LONG),
    Case(22, "chunks", raw(f"POST {R} HTTP/1.1", *CHUNKS, body=BODY), NO_LENGTH),
    Case(22, "no length", asks(length="", body=b""), Want((411,), error=True)),
    Case(
        24, "a small body that waits for 100", asks("POST", R, "Expect: 100-continue"), Want((200,), 1, interim=(100,))
    ),
    Case(24, "an expectation that nobody has", asks("POST", R, "Expect: 200-ok"), Want((417,))),
    # Methods are no limit to bodies, and Ollama would be sent them.
    Case(46, "GET with chunks", raw("GET /api/tags HTTP/1.1", *CHUNKS, body=BODY), NO_LENGTH),
    Case(46, "GET with a byte too much", asks("GET", "/api/tags", length="<limit+1>", body=b""), TOO_LONG),
    Case(
        46, "the page with too long a body", asks("GET", "/", length="99999999", body=b""), Want((200, 413, NO_ANSWER))
    ),
    Case(47, "a path of 5000 characters", asks("GET", "/" + "a" * 5000), Want((414,), closed=True)),
    Case(
        47, "a header of 9000 characters", asks("GET", "/api/tags", "X-Long: " + "a" * 9000), Want((400,), closed=True)
    ),
    Case(47, "60 headers", asks("GET", "/api/tags", *(f"X-{n}: a" for n in range(60))), Want((400,), closed=True)),
]
BIG = [Case(23, "exactly the limit", whole, OK)]
