"""One case: what is sent, what must come back, and how many requests may reach Ollama."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.api import Answer
from tests.support.proxy_rules.place import NoListedOrigin, Place
from tests.support.proxy_rules.wire import Heard, lines_of, request, say

R = "/api/ollama"
NO_ANSWER = 0
PERMISSIONS = ("origin", "methods", "headers", "max-age", "credentials")


@dataclass(frozen=True)
class Want:
    """What must come back.

    Attributes:
        status: any of these, of the one answer that is none of the kind "100 Continue".
        upstream: requests that reach Ollama.
        permits: the origin in Access-Control-Allow-Origin, "" for no permission of any kind.
        error: whether it is the proxy's JSON: an object with `error`, of the type application/json.
        has: headers that must be there, once and with this value.
        contains: bytes of the body.
        closed: whether the connection must be closed after it, at once.
        interim: statuses of the answers before it, such as 100.
    """

    status: tuple[int, ...]
    upstream: int = 0
    permits: str | None = None
    error: bool = False
    has: tuple[tuple[str, str], ...] = ()
    contains: bytes = b""
    lacks: bytes = b""
    closed: bool | None = None
    interim: tuple[int, ...] = ()


OK = Want((200,), upstream=1)


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        number: of the row in the table of cases; rows of our own have numbers from 36.
        name: what is special about it.
        sends: place → the pieces that are sent over one connection.
        heads: the method is HEAD.
    """

    number: int
    name: str
    sends: Callable[[Place], tuple[bytes, ...]]
    want: Want
    heads: bool = False

    def fits(self, place: Place) -> bool:
        """Whether the place has what the case needs: a listed origin, for some."""
        try:
            self.sends(place)
        except NoListedOrigin:
            return False
        return True

    def run(self, place: Place) -> None:
        """Send it and look at what comes back; says nothing of what reached Ollama.

        Raises:
            AssertionError: something else came back.
        """
        heard = say(place.address, *self.sends(place), heads=self.heads)
        check(heard, self.want, place)


def check(heard: Heard, want: Want, place: Place) -> None:
    """Compare what was heard with what is wanted.

    Raises:
        AssertionError: they differ.
    """
    if NO_ANSWER in want.status and not heard.answers:
        return
    assert len(heard.final) == 1, heard
    [answer] = heard.final
    assert answer.status in want.status, answer
    interim = tuple(one.status for one in heard.answers if one.status < 200)
    assert interim == want.interim, heard
    if want.permits is not None:
        check_permission(answer, place.fill(want.permits))
    if want.error:
        assert answer.all("content-type") == ["application/json"], answer
        assert answer.json()["error"], answer
    for name, value in want.has:
        assert answer.all(name) == [place.fill(value)], (name, answer)
    assert want.contains in answer.body, answer
    assert not want.lacks or want.lacks not in answer.body, answer
    if want.closed is not None:
        assert heard.closed == want.closed, heard
        assert not want.closed or heard.seconds < 2.5, heard


def check_permission(answer: Answer, origin: str) -> None:
    """The answer lets pages of the origin read it, and nobody else; "" for nobody at all.

    Raises:
        AssertionError: it does otherwise.
    """
    if origin:
        assert answer.all("access-control-allow-origin") == [origin], answer
    else:
        given = [
            name
            for name in PERMISSIONS
            if answer.all(f"access-control-{name}") or answer.all(f"access-control-allow-{name}")
        ]
        assert given == [], answer
    assert answer.all("access-control-allow-credentials") == [], answer


def asks(
    method: str = "POST",
    path: str = R,
    *headers: str,
    host: str | None = "<netloc>",
    body: bytes | None = None,
    length: str | None = None,
    close: bool = True,
    version: str = "HTTP/1.1",
) -> Callable[[Place], tuple[bytes, ...]]:
    """A well-formed request, but for what is told.

    Args:
        headers: further lines, as `Origin: <listed>`.
        host: None for no such header.
        body: for POST, PUT and PATCH a question, unless given.
        length: Content-Length: the body's own, unless given; "" for none.
        close: ask for the connection to be closed after the answer.
    """

    def build(place: Place) -> tuple[bytes, ...]:
        has_body = method in ("POST", "PUT", "PATCH")
        content = body if body is not None else place.question() if has_body else b""
        lines = [
            *([("Host", place.fill(host))] if host is not None else []),
            ("Connection", "close" if close else "keep-alive"),
        ]
        if content or has_body:
            lines.append(("Content-Type", "application/json"))
        if length is None and (content or has_body):
            lines.append(("Content-Length", str(len(content))))
        elif length:
            lines.append(("Content-Length", place.fill(length)))
        for header in headers:
            name, _, value = place.fill(header).partition(": ")
            lines.append((name, value))
        return (request(method, place.fill(path), lines, content, version),)

    return build


def raw(*lines: str | bytes, body: bytes = b"", follow: bool = True) -> Callable[[Place], tuple[bytes, ...]]:
    """Exactly these lines with CRLF, an empty one and the body; text may have the words of `Place.fill`.

    `follow`: a well-formed request to a route comes right after, in the same connection: what a smuggler hopes to hide.
    """

    def build(place: Place) -> tuple[bytes, ...]:
        filled = (place.fill(line) if isinstance(line, str) else line for line in lines)
        second = asks("GET", "/api/version")(place)[0] if follow else b""
        return (lines_of(*filled, "") + body + second,)

    return build
