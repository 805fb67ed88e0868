"""Fetching manifests from registries: the real script and real local servers, with and without TLS."""

from __future__ import annotations

import base64
import http.server
import select
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
requests: list[str] = []
proxied: list[str] = []


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        requests.append(f"{self.request_version} {self.headers['Host']} {self.headers['Accept']}")
        name = self.path.removeprefix("/v2/library/").removesuffix("/manifests/latest")
        status = int(name) if name.isdigit() else 200
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


def fetch(*urls: str, timeout: int = 20, **environment: str) -> list[list[str]]:
    """The script's output for each URL, as lines."""
    script = SCRIPT.read_text().replace("time_limit=20", f"time_limit={timeout}")
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


def test_manifest_arrives_complete() -> None:
    with serving() as port:
        (answer,) = fetch(f"http://127.0.0.1:{port}/v2/library/x/manifests/latest")
    assert answer == ["200", *MANIFEST.splitlines()]
    assert requests[-1] == f"HTTP/1.0 127.0.0.1:{port} application/vnd.docker.distribution.manifest.v2+json"


def test_each_url_has_its_own_result() -> None:
    with serving() as port:
        base = f"http://localhost:{port}/v2/library"
        answers = fetch(*(f"{base}/{what}/manifests/latest" for what in ("404", "x", "503", "301", "302")))
    assert [answer[0] for answer in answers] == [
        "the registry does not have it (404)",
        "200",
        "localhost is temporarily unavailable (503)",
        "200",
        "localhost responded with status 302",  # a redirect loop
    ]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (400, "localhost responded with status 400"),
        (401, "localhost requires a login (401)"),
        (403, "localhost denies access (403)"),
        (410, "the registry does not have it (410)"),
        (412, "it requires a newer version of Ollama (412): raise ollama_image"),
        (429, "localhost limits the rate of requests (429), try again in 7 s"),
        (500, "localhost is temporarily unavailable (500)"),
    ],
)
def test_refusal_names_the_registry_and_the_reason(status: int, why: str) -> None:
    with serving() as port:
        (answer,) = fetch(f"http://localhost:{port}/v2/library/{status}/manifests/latest")
    assert answer == [why]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_unresolvable_name_is_reported(scheme: str) -> None:
    """With a label that is too long for DNS, so no server is queried."""
    name = f"{'x' * 64}.invalid"
    (answer,) = fetch(f"{scheme}://{name}/v2/library/x/manifests/latest")
    assert answer == [f"the name {name} could not be resolved: check it and the host's DNS"]


def test_closed_port_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (answer,) = fetch(f"http://127.0.0.1:{port}/v2/x")
    assert answer[0].startswith("no response: ")
    assert "refused" in answer[0]


def test_unresponsive_registry_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (answer,) = fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/v2/x", timeout=1)
    assert answer == ["no response within 1 s"]


def test_non_http_response_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                with connection.makefile("rb") as request:
                    list(iter(request.readline, b"\r\n"))

        threading.Thread(target=greet, daemon=True).start()
        (answer,) = fetch(f"http://127.0.0.1:{server.getsockname()[1]}/v2/x")
    assert answer == ["no response: 220 mail.example ESMTP"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of `localhost` and 127.0.0.1."""
    return self_signed(tmp_path_factory.mktemp("tls") / "localhost.pem", ("localhost", "127.0.0.1"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_trusted_registry_over_tls(certificate: Path, host: str) -> None:
    with serving(certificate) as port:
        (answer,) = fetch(f"https://{host}:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(certificate))
    assert answer == ["200", *MANIFEST.splitlines()]


def test_untrusted_certificate_is_refused(certificate: Path) -> None:
    before = len(requests)
    with serving(certificate) as port:
        (answer,) = fetch(f"https://localhost:{port}/v2/library/x/manifests/latest")
    assert answer == [
        "the certificate of localhost is signed by an unknown authority: does a firewall or proxy inspect TLS?"
    ]
    assert len(requests) == before


def test_expired_certificate_is_refused(tmp_path: Path) -> None:
    expired = self_signed(tmp_path / "expired.pem", begin=LONG_AGO)
    with serving(expired) as port:
        (answer,) = fetch(f"https://127.0.0.1:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(expired))
    assert answer == ["the certificate of 127.0.0.1 has expired or is not yet valid: check the host's clock"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_certificate_for_another_name_is_refused(tmp_path: Path, host: str) -> None:
    other = self_signed(tmp_path / "other.pem", ("other.example", "192.0.2.1"))
    with serving(other) as port:
        (answer,) = fetch(f"https://{host}:{port}/v2/library/x/manifests/latest", SSL_CERT_FILE=str(other))
    assert answer == [
        f"the certificate is not valid for {host}: check that address, and whether a firewall or proxy inspects TLS"
    ]


class Proxy(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that requires a password, and relays one connection at a time."""

    def do_CONNECT(self) -> None:
        proxied.append(self.path)
        if self.headers["Proxy-Authorization"] != f"Basic {base64.b64encode(b'an@na:p:a/s%').decode()}":
            self.send_error(407)
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as target:
            self.send_response(200)
            self.end_headers()
            ends = {target: self.connection, self.connection: target}
            while ready := select.select(list(ends), [], [], 20)[0]:
                for end in ready:
                    if not (piece := end.recv(1 << 16)):
                        return
                    ends[end].sendall(piece)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("password", "direct", "way"),
    [("p%3Aa%2Fs%25", "", "proxy"), ("wrong", "", "refused"), ("wrong", "other.example,localhost", "direct")],
)
def test_a_proxy_with_a_password(certificate: Path, tmp_path: Path, password: str, direct: str, way: str) -> None:
    proxied.clear()
    with (
        serving(certificate) as port,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy,
    ):
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        file = tmp_path / "docker.env"
        file.write_text(
            f"HTTPS_PROXY=http://an%40na:{password}@127.0.0.1:{proxy.server_address[1]}\nNO_PROXY={direct}\n"
        )
        url = f"https://localhost:{port}/v2/library/x/manifests/latest"
        [result] = fetch(url, SSL_CERT_FILE=str(certificate), proxy_file=str(file))
        proxy.shutdown()
    assert (result[0] == "200") == (way != "refused"), result
    assert proxied == ([] if way == "direct" else [f"localhost:{port}"])
