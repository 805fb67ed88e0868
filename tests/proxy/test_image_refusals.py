"""How a real Docker engine reports a registry's refusals, and what the script that pulls images makes of them."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hearth.stack.image_operations import pull_script
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import ADDRESS, Engine
from tests.support.self_signed import LONG_AGO, self_signed

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
OTHER_PROCESSOR = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifests": [
        {
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "digest": f"sha256:{'a' * 64}",
            "size": 2,
            "platform": {"architecture": "s390x", "os": "linux"},
        }
    ],
}


class _Handler(BaseHTTPRequestHandler):
    """The name of the image decides: `/v2/status-CODE/manifests/…`."""

    def do_GET(self) -> None:
        code, body, kind = 200, "{}", "application/json"
        if "/status-" in self.path:
            code = int(self.path.partition("/status-")[2].partition("/")[0])
            errors = {401: "UNAUTHORIZED", 403: "DENIED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS"}
            body = json.dumps({"errors": [{"code": errors.get(code, "UNKNOWN"), "message": "as the status says"}]})
        elif "/other/" in self.path:
            body, kind = json.dumps(OTHER_PROCESSOR), OTHER_PROCESSOR["mediaType"]  # type: ignore[assignment]
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body.encode())

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools"), stages)
    with Engine(parts, tmp_path_factory.mktemp("engine")) as one:
        yield one


@contextmanager
def registry(engine: Engine, address: str, certificate: Path | None = None) -> Iterator[str]:
    """The address of a registry in the engine's network."""
    found: list[ThreadingHTTPServer] = []
    ready = threading.Event()

    def serve() -> None:
        engine.enter_network()
        server = ThreadingHTTPServer((address, 0), _Handler)
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        found.append(server)
        ready.set()
        server.serve_forever(poll_interval=0.02)

    threading.Thread(target=serve, daemon=True).start()
    assert ready.wait(10)
    try:
        yield f"{address}:{found[0].server_port}"
    finally:
        found[0].shutdown()
        found[0].server_close()


def pull(engine: Engine, image: str) -> tuple[str, int]:
    """The output of a pull that fails, and the number of retries."""
    done = engine.run(f"sleep() {{ :; }}\n{pull_script([image], 60, 30, 2)}")
    assert done.code != 0, done.output
    return done.output, done.output.count("retrying (")


@pytest.mark.parametrize(
    ("name", "retries", "sentence"),
    [
        ("status-401/x:1", 0, "the registry denies access. The name is wrong (ollama_image, proxy_image)"),
        ("status-403/x:1", 0, "the registry denies access"),
        ("status-404/x:1", 0, "the registry does not have it. Check the name and the version"),
        ("status-429/x:1", 0, "the registry limits the rate of pulls"),
        ("other/x:1", 0, "the registry does not have it for this host's processor"),
        ("status-500/x:1", 2, "(see above)"),
        ("status-503/x:1", 2, "(see above)"),
    ],
)
def test_status_decides_about_retries(engine: Engine, name: str, retries: int, sentence: str) -> None:
    with registry(engine, "127.0.0.1") as address:
        output, found = pull(engine, f"{address}/{name}")
    assert sentence in output, output
    assert found == retries, output


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("plain", f"{ADDRESS}:PORT uses http, not https"),
        (
            "untrusted",
            f"the certificate of {ADDRESS}:PORT is signed by an unknown authority (x509), so a firewall or proxy",
        ),
        (
            "expired",
            f"the certificate of {ADDRESS}:PORT has expired or is not yet valid (x509). Check the host's clock",
        ),
        ("other name", f"the certificate is not valid for {ADDRESS}:PORT (x509)"),
    ],
)
def test_certificates_that_no_retry_can_change(engine: Engine, tmp_path: Path, kind: str, sentence: str) -> None:
    certificate = tmp_path / "server.pem"
    self_signed(
        certificate,
        ["198.51.100.9" if kind == "other name" else ADDRESS],
        begin=LONG_AGO if kind == "expired" else None,
    )
    with registry(engine, ADDRESS, None if kind == "plain" else certificate) as address:
        trusted = engine.project / "ca.crt"
        trusted.write_bytes(certificate.read_bytes())
        trust = f"d=/etc/docker/certs.d/{address}; mkdir -p $d && cp /opt/hearth/ca.crt $d/ca.crt"
        if kind in ("expired", "other name"):
            assert engine.execute(trust).code == 0
        output, found = pull(engine, f"{address}/x/y:1")
    assert sentence.replace("PORT", address.rpartition(":")[2]) in output, output
    assert found == 0, output
