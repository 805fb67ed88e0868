"""HTTP calls over connections of our own, so that each address, and the way through a proxy, is tried apart."""

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
from hearth.doctor.http_response import Answer, headers_of
from hearth.doctor.target import Target
from hearth.doctor.tcp import connect

# A page or a list of models is far smaller; what is longer is not read to its end.
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """How to reach the host: over one of its addresses, or through a proxy.

    Attributes:
        timeout: seconds for the connection, and then for each time nothing comes.
        proxy: URL of an HTTP proxy to go through, "" for none.
        tls: for https; None where certificates are not to be looked at.
        authorization: shown to the host itself, and neither to a proxy nor to one whose certificate is wrong.
    """

    target: Target
    address: Address | None
    timeout: float
    proxy: str = ""
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    authorization: str = field(default="", compare=False, repr=False)

    def open(self, timeout: float = 0) -> http.client.HTTPConnection:
        """A connection, made.

        Raises:
            OSError: it can't be made; `ssl.SSLError` where TLS fails.
        """
        timeout = timeout or self.timeout
        target = self.target
        plain: socket.socket
        if self.proxy:
            parts = parts_of(self.proxy)
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
                plain = (self.tls or unchecked()).wrap_socket(plain, server_hostname=target.host.partition("%")[0])
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
        where = f"{self.target.url}{path}" if self.proxy and self.target.scheme == "http" else path
        all_headers = {"Host": self.target.netloc, "User-Agent": "hearth-doctor", "Connection": "close"}
        if self.authorization and not self.proxy and (self.target.scheme == "http" or self.tls is not None):
            all_headers["Authorization"] = self.authorization
        if self.proxy and self.target.scheme == "http":
            all_headers |= _proxy_headers(self.proxy)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            all_headers["Content-Type"] = "application/json"
        connection.request(method, where, data, all_headers | dict(headers or {}))


def unchecked() -> ssl.SSLContext:
    """TLS without a look at the certificate: to go on looking after it was found wrong. Sends no secret anywhere."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def parts_of(proxy: str) -> SplitResult:
    """The parts of a proxy's address, as the environment has it.

    Raises:
        ValueError: it is none; the message has no password in it.
    """
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its words may have the password in them
        is_address = False
    if not is_address:
        raise ValueError("it has no name, or its port is no number")
    return parts


def _proxy_headers(proxy: str) -> dict[str, str]:
    """What a proxy is shown that asks for the name and the password in its address."""
    parts = parts_of(proxy)
    if parts.username is None:
        return {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def _tunnel(plain: socket.socket, target: Target, headers: Mapping[str, str]) -> None:
    host = f"[{target.host}]" if ":" in target.host else target.host
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": f"{host}:{target.port}", **headers}.items())
    plain.sendall(f"CONNECT {host}:{target.port} HTTP/1.1\r\n{head}\r\n".encode())
    answer = http.client.HTTPResponse(plain, method="CONNECT")
    answer.begin()
    if answer.status != 200:
        raise OSError(f"the proxy answered CONNECT with {answer.status} {answer.reason}")


def call(
    way: Endpoint,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    tries: int = 1,
) -> Answer:
    """One request and its answer. No redirect is followed.

    Args:
        tries: how often a call that failed is made; only for what may be asked twice.

    Raises:
        OSError, http.client.HTTPException: it could not be sent, or what came back is no HTTP.
    """
    while True:
        tries -= 1
        try:
            return _call(way, method, path, body, headers)
        except (OSError, http.client.HTTPException):
            if tries <= 0:
                raise


def _call(
    way: Endpoint, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> Answer:
    begun = time.monotonic()
    connection = way.open()
    try:
        way.send(connection, method, path, body, headers)
        answer = connection.getresponse()
        seconds = time.monotonic() - begun
        return Answer(answer.status, headers_of(answer), _read(answer, begun + 2 * way.timeout), seconds)
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, but no more than `_LONGEST`, and nothing that comes after the deadline."""
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _LONGEST and time.monotonic() < deadline:
        try:
            piece = answer.read1(65536)
        except (OSError, http.client.HTTPException):
            break  # what came so far is what there is
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)
