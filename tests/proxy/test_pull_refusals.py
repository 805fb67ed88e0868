"""How a real Ollama reports a registry's responses, and how the script that pulls models handles that."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hearth.paths import CHECKOUT
from lab import artefacts
from tests.proxy.ollama import Ollama
from tests.support.self_signed import LONG_AGO, self_signed

SCRIPT = (CHECKOUT / "hearth/models/pull.bash").read_text()
RETRIES = 2
# Messages of Ollama's library and of Hugging Face.
NEWER = (
    "\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version\n"
)
LIMITED = '{"error":"We had to rate limit your IP (192.0.2.1). To continue using our service, log in"}'
BLOB = b"{}"
STORE = "/root/.ollama/models"


def manifest_with(blob: bytes) -> str:
    file = {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
    return json.dumps({"schemaVersion": 2, "layers": [file]})


MANIFEST = manifest_with(BLOB)


class Registry(ThreadingHTTPServer):
    """Responds to manifest requests with `status`, `body` and the challenge for a login; counts requests by path.

    Attributes:
        token: status of responses to token requests.
        spoilt: number of files to send with wrong content; counted down.
        head: status of responses to HEAD requests for a file.
        found: status and `Location` of responses to requests for a file's location.
        blob: the content of the only file.
    """

    daemon_threads = True

    def __init__(
        self,
        status: int,
        body: str,
        challenge: str = "",
        token: int = 200,
        spoilt: int = 0,
        head: int = 200,
        found: tuple[int, str] = (200, "URL/content"),
        blob: bytes = BLOB,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status, self.body, self.token, self.spoilt, self.head = status, body, token, spoilt, head
        self.found, self.location, self.blob = found[0], found[1].replace("URL", self.url), blob
        self.challenge = challenge.replace("URL", self.url)
        self.requests: Counter[str] = Counter()


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self._answer(self.server.head, self.server.blob)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        kind = path.split("/")[-2] if path.startswith("/v2/") else path
        self.server.requests[kind] += 1
        if kind == "manifests":
            self._answer(self.server.status, self.server.body.encode(), {"WWW-Authenticate": self.server.challenge})
        elif kind == "blobs":
            # The first GET only finds the content's location: Ollama also reads `Location` of a 200.
            self._answer(self.server.found, self.server.blob, {"Location": self.server.location})
        elif kind == "/content":
            spoilt = self.server.spoilt > 0
            self.server.spoilt -= spoilt
            self._answer(200, b"[]" if spoilt else self.server.blob)
        else:
            self._answer(self.server.token, b'{"token":"t"}')

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            with suppress(OSError):  # Ollama disconnects when its disk is full
                self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: tests use the counters."""


@contextmanager
def registry(*args: Any, **more: Any) -> Iterator[Registry]:
    with Registry(*args, **more) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@dataclass
class Pulled:
    """The script's exit code, standard error, and the seconds of each wait."""

    code: int
    err: str
    waits: list[int]


def puller(ollama: Ollama, tmp_path: Path, store: Path | None = None) -> Any:
    """Pulls a model from an address with the real script, whose waits are skipped.

    `store`: the directory of Ollama's files; without it, the script finds none.
    """
    # All tests share the machine's loopback, so Ollama has a separate address. Nothing else in the script is changed.
    assert SCRIPT.count("/dev/tcp/127.0.0.1/") == 1
    script = SCRIPT.replace("/dev/tcp/127.0.0.1/", f"/dev/tcp/{ollama.address}/")
    waits = tmp_path / "waits"
    (tmp_path / "sleep").write_text(f'#!/bin/sh\necho "$1" >> {waits}\n')
    (tmp_path / "sleep").chmod(0o755)
    # The script finally flushes the store to disk, which can take long on a busy machine and is not tested here.
    (tmp_path / "sync").symlink_to("/bin/true")

    def run(source: str) -> Pulled:
        done = subprocess.run(
            ["bash", "-s", "--", "20", str(RETRIES), "refused", source, "pull"],
            input=script,
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OLLAMA_MODELS": str(store or tmp_path)},
            timeout=60,
        )
        return Pulled(
            done.returncode, done.stderr, [int(line) for line in waits.read_text().split()] if waits.exists() else []
        )

    return run


@pytest.fixture
def pull(ollama: Ollama, tmp_path: Path) -> Any:
    return puller(ollama, tmp_path)


BEARER = 'Bearer realm="URL/token",service="r",scope="s"'
LOGIN = ": it requires a login"
DENIED = ": access is denied"
REFUSED = ": the registry refused the request"
LIMIT = ": the registry limits the rate of pulls"
DOWN = ": the registry is temporarily unavailable"


@pytest.mark.parametrize(
    ("answer", "more", "reason", "waits", "advice"),
    [
        ((401, ""), {}, "realm host", [], LOGIN),
        ((401, ""), {"challenge": BEARER}, "unauthorized: access denied", [], LOGIN),
        ((401, ""), {"challenge": BEARER, "token": 403}, "403: ", [], DENIED),
        ((403, "Access to this model is gated"), {}, "403: Access to", [], DENIED),
        ((404, "{}"), {}, "file does not exist", [], ": the registry does not have it"),
        ((410, "gone"), {}, "410: gone", [], ": the registry does not have it"),
        ((412, NEWER), {}, "The model you are", [], ": it requires a newer version of Ollama. Set ollama_image"),
        ((416, ""), {}, "416: ", [], REFUSED),
        ((200, "<html>log in to this network</html>"), {}, "invalid character", [], ": the response is not a model"),
        ((429, LIMITED), {}, "We had to rate limit", [30, 60], LIMIT),
        ((429, "Retry-After: 7"), {}, "429: Retry", [7, 7], LIMIT),
        ((500, "file not found"), {}, "500: file", [3, 6], DOWN),
        ((502, "<h1>invalid</h1>"), {}, "502: ", [3, 6], DOWN),
        ((503, ""), {}, "503: ", [3, 6], DOWN),
        ((200, ""), {}, "EOF", [3, 6], ". Check the name (ollama_models) and the host's internet access"),
        ((200, MANIFEST), {"spoilt": 9}, "digest mismatch", [3, 6], ": the download does not match its checksum"),
        ((200, MANIFEST), {"head": 404}, "refused: file does not exist", [], ": the registry lacks one of its files"),
        ((200, MANIFEST), {"head": 403}, "refused: 403: ", [], DENIED),
        ((200, MANIFEST), {"head": 429}, "refused: 429: ", [30, 60], LIMIT),
        ((200, MANIFEST), {"head": 503}, "refused: 503: ", [3, 6], DOWN),
        ((200, MANIFEST), {"found": (200, "")}, "no Location header", [], ": its responses lack the Location header"),
        ((200, MANIFEST), {"found": (301, "http://127.0.0.3:9/")}, "unexpected status code 301", [], REFUSED),
    ],
    ids=lambda value: f"{value[0]}" if isinstance(value, tuple) else "",
)
def test_each_response_has_its_retries_and_message(
    pull: Any, answer: tuple[int, str], more: dict[str, Any], reason: str, waits: list[int], advice: str
) -> None:
    with registry(*answer, **more) as server:
        pulled = pull(f"{server.url}/library/refused")
    assert pulled.code == 1
    assert reason in pulled.err, pulled.err
    assert pulled.waits == waits, pulled.err
    assert pulled.err.splitlines()[-1].startswith(f"Could not pull refused from {server.url}{advice}"), pulled.err
    logins = 2 if more.get("challenge") and more.get("token", 200) == 200 else 1
    assert server.requests["manifests"] == (len(waits) + 1) * logins


def test_damaged_download_is_retried(pull: Any) -> None:
    with registry(200, MANIFEST, spoilt=1) as server:
        pulled = pull(f"{server.url}/library/refused")
    assert "digest mismatch" in pulled.err
    assert (pulled.code, pulled.waits) == (0, [3]), pulled.err


@pytest.mark.parametrize("manifest", ["{}", '{"config": {"digest": "DIGEST", "size": 2}, "layers": []}'])
def test_manifest_without_files_is_not_a_model(parts: artefacts.Paths, tmp_path: Path, manifest: str) -> None:
    """Ollama reports success and lists the model. The script inspects the store, which is shared here."""
    (directory := tmp_path / "ollama").mkdir()
    (store := tmp_path / "store").mkdir()
    digest = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
    with (
        Ollama(parts["roots"] / "ollama", directory, parts["models"], names=(), volumes={STORE: store}) as ollama,
        registry(200, manifest.replace("DIGEST", digest)) as server,
    ):
        pulled = puller(ollama, tmp_path, store)(f"{server.url}/library/refused")
        with urllib.request.urlopen(f"{ollama.url}/api/tags", timeout=10) as answer:
            listed = json.load(answer)["models"]
    assert (pulled.code, pulled.waits, server.requests["manifests"]) == (1, [], 1), pulled
    assert pulled.err.splitlines()[-1].startswith(
        f"Could not pull refused from {server.url}: what it serves under that name has no files, so it is not a model."
    ), pulled.err
    assert listed == []


def test_unreachable_registry_is_retried(pull: Any) -> None:
    with registry(200, "") as server:
        pass
    pulled = pull(f"{server.url}/library/refused")
    assert "connection refused" in pulled.err
    assert pulled.waits == [3, 6]


def test_unresolvable_name_is_reported(pull: Any) -> None:
    """With a label that is too long for DNS, so no query is sent."""
    name = f"{'x' * 64}.invalid"
    pulled = pull(f"https://{name}/library/refused")
    assert "no such host" in pulled.err, pulled.err
    assert pulled.waits == [3, 6]
    assert f"the name {name} could not be resolved" in pulled.err.splitlines()[-1]


def test_name_that_ollama_rejects_is_reported(pull: Any) -> None:
    pulled = pull("https://registry.example/hf.co/someone/model:q4")
    assert pulled.waits == [], pulled.err
    assert "Ollama does not accept this name" in pulled.err.splitlines()[-1]


def test_http_instead_of_https_is_reported(pull: Any) -> None:
    with registry(200, "") as server:
        pulled = pull(f"{server.url.replace('http:', 'https:')}/library/refused")
    assert pulled.waits == [], pulled.err
    assert f"127.0.0.1:{server.server_port} uses http, not https. Set ollama_model_registry" in pulled.err, pulled.err


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        ({}, "the certificate of HOST is signed by an unknown authority (x509), so a firewall or proxy probably"),
        ({"begin": LONG_AGO}, "the certificate of HOST has expired or is not yet valid (x509). Check the host's clock"),
        ({"names": ["192.0.2.1"]}, "the certificate is not valid for HOST (x509)"),
        ({"names": ["other.example"]}, "the certificate is not valid for HOST (x509)"),
    ],
)
def test_untrusted_certificate_is_reported(pull: Any, tmp_path: Path, more: dict[str, Any], advice: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "certificate.pem", **more))
    with registry(200, "") as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        pulled = pull(f"{server.url.replace('http:', 'https:')}/library/refused")
    assert "x509" in pulled.err, pulled.err
    assert pulled.waits == [], pulled.err
    assert advice.replace("HOST", f"127.0.0.1:{server.server_port}") in pulled.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("volumes", "reason", "advice"),
    [
        ({"models": "size=2m"}, "no space left on device", "the disk is full. Free up space, or set ollama_models_dir"),
        ({"models/blobs": "ro"}, "read-only file system", "Ollama can't use its models directory. Check that disk"),
    ],
)
def test_full_or_read_only_disk_is_reported(
    parts: artefacts.Paths, tmp_path: Path, volumes: dict[str, str], reason: str, advice: str
) -> None:
    blob = bytes(3_000_000)
    (directory := tmp_path / "ollama").mkdir()
    disk = {f"/root/.ollama/{path}": options for path, options in volumes.items()}
    with (
        Ollama(parts["roots"] / "ollama", directory, parts["models"], names=(), volumes=disk) as ollama,
        registry(200, manifest_with(blob), blob=blob) as server,
    ):
        pulled = puller(ollama, tmp_path)(f"{server.url}/library/refused")
    assert reason in pulled.err
    assert pulled.waits == [], pulled.err
    assert advice in pulled.err.splitlines()[-1]
