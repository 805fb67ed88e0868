"""Requests over TLS, with curl (HTTP/1.1 and 2) and with OpenSSL through Python's ssl."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.acceptance.api import Answer, Line

VERSIONS = ("1.1", "2")


@dataclass(frozen=True)
class Client:
    """A client for one host name, with its address and the CA to trust.

    Attributes:
        address, name: the name is requested, at the address.
        port, tls_port: of http:// and https://.
        trust: PEM file.
    """

    address: str
    name: str
    port: int
    tls_port: int
    trust: Path

    def url(self, path: str, scheme: str = "https") -> str:
        """An address on the host."""
        return f"{scheme}://{self.name}:{self.tls_port if scheme == 'https' else self.port}{path}"

    def words(self, url: str, method: str, version: str, body: bytes | None, headers: Mapping[str, str]) -> list[str]:
        """curl's command line."""
        words = ["curl", "--silent", "--show-error", "--no-buffer", "--path-as-is", "--max-time", "120"]
        words += ["--cacert", str(self.trust), "--noproxy", "*", "--include", "--request", method]
        words += [
            word for port in (self.port, self.tls_port) for word in ("--resolve", f"{self.name}:{port}:{self.address}")
        ]
        words += ["--http2" if version == "2" else "--http1.1"]
        words += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
        # Without Expect, which curl adds to large bodies.
        words += ["--data-binary", "@-", "--header", "Expect:"] if body is not None else []
        words += ["--head"] if method == "HEAD" else []
        return [*words, url]

    def call(
        self,
        path: str,
        method: str = "GET",
        version: str = "2",
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        scheme: str = "https",
        extra: Sequence[str] = (),
    ) -> Answer:
        """One request. The response's headers include `:version`, the HTTP version."""
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        defaults = {"Accept": "text/html"} if path == "/" else {}
        sent = defaults | ({"Content-Type": "application/json"} if data is not None else {}) | dict(headers or {})
        words = [*self.words(self.url(path, scheme), method, version, data, sent), *extra]
        until = time.monotonic() + 60
        while True:
            done = subprocess.run(words, input=data, capture_output=True, timeout=150, check=False)
            # If the response arrives before all is sent ("HTTP error before end of send, stop sending"), curl 7.88 may
            # fail with a stream error and print nothing: 51 of 1,800 requests that were refused at once, and five in a
            # row on a busy machine. Node's client showed all of 2,400.
            if done.returncode != 92 or time.monotonic() > until:
                break
        assert done.returncode == 0, (words, done.stderr.decode())
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        protocol = first.split()[0].removeprefix("HTTP/")
        return Answer(int(first.split()[1]), ((":version", protocol), *pairs), content)

    def stream(self, path: str, body: Mapping[str, Any], version: str = "2") -> Stream:
        """A streamed response that has started."""
        return Stream(self.words(self.url(path), "POST", version, b"", {"Content-Type": "application/json"}), body)

    def context(self) -> ssl.SSLContext:
        """Trusts only this CA, and verifies as strictly as newer versions of Python."""
        context = ssl.create_default_context(cafile=str(self.trust))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def handshake(self, context: ssl.SSLContext | None = None, name: str = "") -> tuple[str, str, x509.Certificate]:
        """(protocol, cipher, certificate) of a new connection.

        Raises:
            ssl.SSLError: it failed.
        """
        with (
            socket.create_connection((self.address, self.tls_port), timeout=10) as plain,
            (context or self.context()).wrap_socket(plain, server_hostname=name or self.name) as secure,
        ):
            cipher, shown = secure.cipher(), secure.getpeercert(binary_form=True)
            assert cipher is not None
            assert shown is not None
            return secure.version() or "", cipher[0], x509.load_der_x509_certificate(shown)


class Stream:
    """Lines of a response as they arrive."""

    def __init__(self, words: list[str], body: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(body).encode())
        self._process.stdin.close()

    def lines(self, count: int = 0) -> list[Line]:
        """The next `count` lines of JSON, or all that are left."""
        assert self._process.stdout is not None
        found: list[Line] = []
        while (not count or len(found) < count) and (line := self._process.stdout.readline()):
            if line.startswith(b"{"):
                found.append(Line(time.monotonic(), line.decode().strip()))
        return found

    def end(self) -> int:
        """curl's exit code: 0 for a complete response."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        code = self._process.wait(120)
        self._process.stdout.close()
        self._process.stderr.close()
        return code
