"""Asking registries for manifests: the real script, against real servers on this machine, with and without TLS."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearth.paths import CHECKOUT
from tests.support.self_signed import LONG_AGO, self_signed

SCRIPT = CHECKOUT / "hearth/models/registry_manifest.bash"
MANIFEST = '{"layers": [{"digest": "sha256:aa"}],\n "config": null}'
seen: list[str] = []


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        seen.append(f"{self.request_version} {self.headers['Host']} {self.headers['Accept']}")
        place = self.path.removeprefix("/v2/library/").removesuffix("/manifests/latest")
        status = int(place) if place.isdigit() else 200
        self.send_response(status)
        if status in (301, 302, 307, 308):
            self.send_header("location", {301: "/v2/library/x/manifests/latest"}.get(status, self.path))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(MANIFEST.encode() if status == 200 else b'{"errors": "200"}')

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[int]:
    """A registry on a free port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(*urls: str, patience: int = 20, **environment: str) -> list[list[str]]:
    """What the script says of each URL, as lines."""
    script = SCRIPT.read_text().replace("patience=20", f"patience={patience}")
    words = [word for url in urls for word in ("m", url)]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | environment,
    )
    assert done.stderr == ""
    parts = done.stdout.split("@@remote m\n")
    assert parts[0] == ""
    return [part.splitlines() for part in parts[1:]]


def test_a_manifest_arrives_whole() -> None:
    with serving() as port:
        (answer,) = ask(f"http://127.0.0.1:{port}/v2/library/x/manifests/latest")
    assert answer == ["200", *MANIFEST.splitlines()]
    assert seen[-1] == f"HTTP/1.0 127.0.0.1:{port} application/vnd.docker.distribution.manifest.v2+json"


def test_each_is_asked_for_by_itself() -> None:
    with serving() as port:
        place = f"http://localhost:{port}/v2/library"
        answers = ask(*(f"{place}/{what}/manifests/latest" for what in ("404", "x", "503", "301", "302")))
    assert [answer[0] for answer in answers] == [
        "the registry does not have it (404)",
        "200",
        "localhost is temporarily unavailable (503)",
        "200",
        "localhost answered with status 302",  # round and round
    ]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (400, "localhost answered with status 400"),
        (401, "localhost requires a login (401)"),
        (403, "localhost denies access (403)"),
        (410, "the registry does not have it (410)"),
        (412, "it requires a newer version of Ollama (412): raise ollama_image"),
        (429, "localhost limits the rate of requests (429), try again in 7 s"),
        (500, "localhost is temporarily unavailable (500)"),
    ],
)
def test_a_refusal_says_whose_it_is_and_what_it_means(status: int, why: str) -> None:
    with serving() as port:
        (answer,) = ask(f"http://localhost:{port}/v2/library/{status}/manifests/latest")
    assert answer == [why]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_cannot_be_resolved_is_told(scheme: str) -> None:
    """With a label that is too long for DNS, so that no server is asked."""
    name = f"{'x' * 64}.invalid"
    (answer,) = ask(f"{scheme}://{name}/v2/library/x/manifests/latest")
    assert answer == [f"the name {name} could not be resolved: check it and the host's DNS"]


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (answer,) = ask(f"http://127.0.0.1:{port}/v2/x")
    assert answer[0].startswith("no answer: ")
    assert "refused" in answer[0]


def test_a_silent_registry_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (answer,) = ask(f"http://127.0.0.1:{silent.getsockname()[1]}/v2/x", patience=1)
    assert answer == ["no answer within 1 s"]


def test_what_is_no_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                with connection.makefile("rb") as request:
                    list(iter(request.readline, b"\r\n"))

        threading.Thread(target=greet, daemon=True).start()
        (answer,) = ask(f"http://127.0.0.1:{server.getsockname()[1]}/v2/x")
    assert answer == ["no answer: 220 mail.example ESMTP"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `localhost` and 127.0.0.1, signed by itself."""
    return self_signed(tmp_path_factory.mktemp("tls") / "localhost.pem", ("localhost", "127.0.0.1"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_over_tls_a_trusted_registry_is_read(certificate: Path, host: str) -> None:
    with serving(certificate) as port:
        (answer,) = ask(f"https://{host}:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(certificate))
    assert answer == ["200", *MANIFEST.splitlines()]


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    before = len(seen)
    with serving(certificate) as port:
        (answer,) = ask(f"https://localhost:{port}/v2/library/x/manifests/latest")
    assert answer == [
        "the certificate of localhost is signed by an unknown authority: does a firewall or proxy inspect TLS?"
    ]
    assert len(seen) == before


def test_a_certificate_that_has_expired_is_refused(tmp_path: Path) -> None:
    expired = self_signed(tmp_path / "expired.pem", begin=LONG_AGO)
    with serving(expired) as port:
        (answer,) = ask(f"https://127.0.0.1:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(expired))
    assert answer == ["the certificate of 127.0.0.1 has expired or is not yet valid: check the host's clock"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(tmp_path: Path, host: str) -> None:
    other = self_signed(tmp_path / "other.pem", ("other.example", "192.0.2.1"))
    with serving(other) as port:
        (answer,) = ask(f"https://{host}:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(other))
    assert answer == [
        f"the certificate is not valid for {host}: check that address, and whether a firewall or proxy inspects TLS"
    ]
