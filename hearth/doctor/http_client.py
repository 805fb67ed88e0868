"""HTTP over separate connections, so that each address, and a proxy, can be checked individually."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from hearth.doctor.address import Address, addresses_of
from hearth.doctor.http_response import Response, headers_of
from hearth.doctor.target import Target
from hearth.doctor.tcp import connect

# A page or a list of models is far smaller; longer bodies are truncated.
_MAX_BODY = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """How to reach the host: through one of its addresses, or through a proxy.

    Attributes:
        timeout: seconds for connecting, and then for each read.
        proxy: URL of an HTTP proxy to use, "" for none.
        tls: for https; None to skip certificate verification.
        authorization: sent to the host itself, but never to a proxy or without certificate verification.
    """

    target: Target
    address: Address | None
    timeout: float
    proxy: str = ""
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    authorization: str = field(default="", compare=False, repr=False)

    def open(self, timeout: float = 0) -> http.client.HTTPConnection:
        """Open a connection.

        Raises:
            OSError: it failed; `ssl.SSLError` if TLS failed.
        """
        timeout = timeout or self.timeout
        target = self.target
        plain: socket.socket
        if self.proxy:
            parts = parse_proxy(self.proxy)
            host, port = parts.hostname or "", parts.port or 80
            via = addresses_of(host, port, self.timeout)[0]
            plain = connect(via, port, self.timeout)
        else:
            assert self.address is not None
            plain = connect(self.address, target.port, self.timeout)
        plain.settimeout(timeout)
        connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout)
        try:
            if self.proxy and target.scheme == "https":
                _tunnel(plain, target, _proxy_headers(self.proxy))
            if target.scheme == "https":
                plain = (self.tls or unverified_context()).wrap_socket(
                    plain, server_hostname=target.host.partition("%")[0]
                )
        except BaseException:
            plain.close()
            raise
        connection.sock = plain
        return connection

    def send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one request; `body` is sent as JSON."""
        request_target = f"{self.target.url}{path}" if self.proxy and self.target.scheme == "http" else path
        # Without a browser's Accept, Hearth answers GET / with Ollama's own text.
        all_headers = {"Accept": "text/html, */*", "User-Agent": "hearth-doctor", "Connection": "close"}
        all_headers["Host"] = self.target.netloc
        if self.authorization and not self.proxy and (self.target.scheme == "http" or self.tls is not None):
            all_headers["Authorization"] = self.authorization
        if self.proxy and self.target.scheme == "http":
            all_headers |= _proxy_headers(self.proxy)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            all_headers["Content-Type"] = "application/json"
        connection.request(method, request_target, data, all_headers | dict(headers or {}))


def unverified_context() -> ssl.SSLContext:
    """TLS without certificate verification, to continue after an invalid certificate. No secret is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def parse_proxy(proxy: str) -> SplitResult:
    """Parse a proxy's address from the environment.

    Raises:
        ValueError: it is invalid; the message does not include a password.
    """
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its message may include the password
        is_address = False
    if not is_address:
        raise ValueError("its host name is missing, or its port is not a number")
    return parts


def _proxy_headers(proxy: str) -> dict[str, str]:
    """The header for a proxy whose address has a user name and password."""
    parts = parse_proxy(proxy)
    if parts.username is None:
        return {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def _tunnel(plain: socket.socket, target: Target, headers: Mapping[str, str]) -> None:
    host = f"[{target.host}]" if ":" in target.host else target.host
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"{host}:{target.port}", **headers}.items())
    plain.sendall(f"CONNECT {host}:{target.port} HTTP/1.1\r\n{head}\r\n".encode())
    response = http.client.HTTPResponse(plain, method="CONNECT")
    response.begin()
    if response.status != 200:
        raise OSError(f"the proxy responded to CONNECT with {response.status} {response.reason}")


def call(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    tries: int = 1,
) -> Response:
    """Send one request and return the response. Redirects are not followed.

    Args:
        tries: how often to attempt a failing request; more than once only if it is safe to repeat.

    Raises:
        OSError, http.client.HTTPException: the request could not be sent, or the response is not HTTP.
    """
    while True:
        tries -= 1
        try:
            return _call(endpoint, method, path, body, headers)
        except (OSError, http.client.HTTPException):
            if tries <= 0:
                raise


def _call(
    endpoint: Endpoint, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> Response:
    started = time.monotonic()
    connection = endpoint.open()
    try:
        endpoint.send(connection, method, path, body, headers)
        response = connection.getresponse()
        seconds = time.monotonic() - started
        return Response(response.status, headers_of(response), _read(response, started + 2 * endpoint.timeout), seconds)
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, up to `_MAX_BODY` bytes and up to the deadline."""
    chunks: list[bytes] = []
    while sum(map(len, chunks)) < _MAX_BODY and time.monotonic() < deadline:
        try:
            chunk = response.read1(65536)
        except (OSError, http.client.HTTPException):
            break  # use what has arrived
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)
