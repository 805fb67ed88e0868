"""One case: the request, the expected response, and how many requests may reach Ollama."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.api import Answer
from tests.support.proxy_rules.target import NoListedOrigin, ProxyTarget
from tests.support.proxy_rules.wire import Received, exchange, lines_of, request

R = "/api/ollama"
NO_ANSWER = 0
PERMISSIONS = ("origin", "methods", "headers", "max-age", "credentials")


@dataclass(frozen=True)
class Expected:
    """The expected response.

    Attributes:
        status: any of these, of the only final response.
        upstream: number of requests that reach Ollama.
        permits: the origin in Access-Control-Allow-Origin, "" for no CORS header at all.
        error: whether it is the proxy's JSON error: an object with `error`, of type application/json.
        has: headers that must occur once, with this value.
        contains: bytes in the body.
        lacks: bytes that must not be in the body.
        closed: whether the connection must be closed immediately after it.
        interim: statuses of earlier responses, such as 100.
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


OK = Expected((200,), upstream=1)


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        number: of the row in the table of cases; additional rows have numbers from 36.
        name: what is special about it.
        request: proxy → the pieces to send over one connection.
        heads: whether the method is HEAD.
    """

    number: int
    name: str
    request: Callable[[ProxyTarget], tuple[bytes, ...]]
    expected: Expected
    heads: bool = False

    def fits(self, proxy: ProxyTarget) -> bool:
        """Whether the proxy has a listed origin, if the case needs one."""
        try:
            self.request(proxy)
        except NoListedOrigin:
            return False
        return True

    def run(self, proxy: ProxyTarget) -> None:
        """Send the request and check the response, but not what reached Ollama.

        Raises:
            AssertionError: the response is not as expected.
        """
        received = exchange(proxy.address, *self.request(proxy), heads=self.heads)
        check(received, self.expected, proxy)


def check(received: Received, expected: Expected, proxy: ProxyTarget) -> None:
    """Compare what was received with what is expected.

    Raises:
        AssertionError: they differ.
    """
    if NO_ANSWER in expected.status and not received.answers:
        return
    assert len(received.final) == 1, received
    [answer] = received.final
    assert answer.status in expected.status, answer
    interim = tuple(one.status for one in received.answers if one.status < 200)
    assert interim == expected.interim, received
    if expected.permits is not None:
        check_permission(answer, proxy.fill(expected.permits))
    if expected.error:
        assert answer.all("content-type") == ["application/json"], answer
        assert answer.json()["error"], answer
    for name, value in expected.has:
        assert answer.all(name) == [proxy.fill(value)], (name, answer)
    assert expected.contains in answer.body, answer
    assert not expected.lacks or expected.lacks not in answer.body, answer
    if expected.closed is not None:
        assert received.closed == expected.closed, received
        assert not expected.closed or received.seconds < 2.5, received


def check_permission(answer: Answer, origin: str) -> None:
    """Check that only pages of the origin may read the response; "" for none.

    Raises:
        AssertionError: its CORS headers differ.
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


def sends(
    method: str = "POST",
    path: str = R,
    *headers: str,
    host: str | None = "<netloc>",
    body: bytes | None = None,
    length: str | None = None,
    close: bool = True,
    version: str = "HTTP/1.1",
) -> Callable[[ProxyTarget], tuple[bytes, ...]]:
    """A well-formed request, except for the given parts.

    Args:
        headers: additional lines, such as `Origin: <listed>`.
        host: None for no such header.
        body: by default a prompt for POST, PUT and PATCH.
        length: Content-Length, by default the body's; "" for none.
        close: request to close the connection after the response.
    """

    def build(proxy: ProxyTarget) -> tuple[bytes, ...]:
        has_body = method in ("POST", "PUT", "PATCH")
        content = body if body is not None else proxy.prompt() if has_body else b""
        lines = [
            *([("Host", proxy.fill(host))] if host is not None else []),
            ("Connection", "close" if close else "keep-alive"),
        ]
        if path == "/" and not any(header.startswith("Accept: ") for header in headers):  # as a browser
            lines.append(("Accept", "text/html"))
        if content or has_body:
            lines.append(("Content-Type", "application/json"))
        if length is None and (content or has_body):
            lines.append(("Content-Length", str(len(content))))
        elif length:
            lines.append(("Content-Length", proxy.fill(length)))
        for header in headers:
            name, _, value = proxy.fill(header).partition(": ")
            lines.append((name, value))
        return (request(method, proxy.fill(path), lines, content, version),)

    return build


def raw(*lines: str | bytes, body: bytes = b"", follow: bool = True) -> Callable[[ProxyTarget], tuple[bytes, ...]]:
    """Exactly these lines with CRLF, an empty one and the body; text may contain placeholders of `ProxyTarget.fill`.

    `follow`: send a well-formed request right after it, in the same connection, as in request smuggling.
    """

    def build(proxy: ProxyTarget) -> tuple[bytes, ...]:
        filled = (proxy.fill(line) if isinstance(line, str) else line for line in lines)
        second = sends("GET", "/api/version")(proxy)[0] if follow else b""
        return (lines_of(*filled, "") + body + second,)

    return build
