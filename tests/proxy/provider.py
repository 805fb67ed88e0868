"""A provider in the internet: a TLS server with a certificate of its own authority, that requires a key.

It answers with a real Ollama, which speaks OpenAI's and Anthropic's protocols, or as a test says, and records the
requests that arrive.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typing_extensions import override

NAME, PORT = "api.provider.example", 9443
URL = f"https://{NAME}:{PORT}/v1"
# As httpd's image has it.
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class Authority:
    """A certificate authority with an intermediate one, as the internet's have; `bundle` has only the root."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        root, self._key = self._certify("root", None, None, path_length=1), self._last_key
        self._intermediate, self._key = self._certify("intermediate", root, self._key, path_length=0), self._last_key
        self.bundle = directory / "bundle.pem"
        self.bundle.write_bytes(_pem(root))

    def issue(self, name: str, begin: timedelta = -timedelta(days=1), end: timedelta = timedelta(days=2)) -> Path:
        """A PEM file with a key, the certificate for a name, and its chain.

        Args:
            begin, end: its validity, from now.
        """
        certificate = self._certify(name, self._intermediate, self._key, None, begin, end)
        path = self._directory / f"{name}-{certificate.serial_number:x}.pem"
        path.write_bytes(
            self._last_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + _pem(certificate)
            + _pem(self._intermediate)
        )
        return path

    def _certify(
        self,
        name: str,
        issuer: x509.Certificate | None,
        issuer_key: ec.EllipticCurvePrivateKey | None,
        path_length: int | None,
        begin: timedelta = -timedelta(days=1),
        end: timedelta = timedelta(days=2),
    ) -> x509.Certificate:
        """A certificate, whose key is in `_last_key`; of an authority if it has a path length."""
        self._last_key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(issuer.subject if issuer else subject, subject, self._last_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begin)
            .not_valid_after(now + end)
            .add_extension(x509.BasicConstraints(path_length is not None, path_length), critical=True)
        )
        if path_length is None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(issuer_key or self._last_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Request:
    """What arrived: `headers` by lower-case name; `server_name` from the TLS handshake (SNI)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    server_name: str
    connection: int = field(compare=False)


class Reply(BaseHTTPRequestHandler):
    """What a test's own `answer` writes its response to, with the methods of the standard library's handler."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer_all(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        name = self.server.server_names.get(self.client_address[1], "")
        request = Request(self.command, self.path, headers, body, name, self.client_address[1])
        self.server.requests.append(request)
        self.server.answer(self, request)

    do_GET = do_POST = answer_all  # names of the standard library

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole response."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_chunk(self, data: bytes) -> None:
        """One chunk of a response whose headers say `Transfer-Encoding: chunked`; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:
        """Not on the tests' standard error."""


Answer = Callable[[Reply, Request], None]


class Server(ThreadingHTTPServer):
    """See `Provider`."""

    daemon_threads = True
    answer: Answer
    requests: list[Request]
    server_names: dict[int, str]
    connections: list[socket.socket]

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A refused certificate ends the handshake; nothing on the tests' standard error."""


class Provider:
    """Listens at an address until the end of the block.

    Attributes:
        answer: how to respond; may be changed at any time.
        requests: those that arrived, in order.
    """

    def __init__(self, address: str, certificate: Path, answer: Answer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = self._remember_name
        self._server = Server((address, PORT), Reply, bind_and_activate=True)
        # The handshake is left to the thread of the connection.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.requests, self._server.server_names, self._server.connections = [], {}, []
        self.answer = answer
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def _remember_name(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self._server.server_names[connection.getpeername()[1]] = name or ""  # type: ignore[attr-defined]

    @property
    def answer(self) -> Answer:
        return self._server.answer

    @answer.setter
    def answer(self, answer: Answer) -> None:
        self._server.answer = answer

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in self._server.connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


def from_ollama(address: str, key: str, port: int = 11434) -> Answer:
    """Answers of a real Ollama to those who send the key; to others, what OpenAI says, with part of the key."""

    def answer(reply: Reply, request: Request) -> None:
        sent = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if sent != key:
            text = b'{"error":{"message":"Incorrect API key provided: %s"}}' % sent.encode()
            reply.send(401, text, {"WWW-Authenticate": 'Basic realm="provider"', "X-Key": sent})
            return
        connection = http.client.HTTPConnection(address, port, timeout=60)
        kept = {name: value for name, value in request.headers.items() if name in ("content-type", "accept")}
        connection.request(request.method, request.path, request.body, kept)
        response = connection.getresponse()
        reply.send_response(response.status)
        reply.send_header("Content-Type", response.getheader("Content-Type", ""))
        reply.send_header("Transfer-Encoding", "chunked")
        reply.send_header("Set-Cookie", "account=1")
        reply.send_header("Strict-Transport-Security", "max-age=1000")
        reply.send_header("Access-Control-Allow-Origin", "*")
        reply.send_header("OpenAI-Organization", "the-account")
        reply.send_header("X-RateLimit-Remaining-Requests", "99")
        reply.end_headers()
        while data := response.read1():
            reply.send_chunk(data)
        reply.send_chunk(b"")
        connection.close()

    return answer
