"""Downloads from a registry with what real ones do: tokens, redirects, lists of platforms, lost connections."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hearth.bundle.registry import Registry, RegistryError, repositories

LIST = "application/vnd.oci.image.index.v1+json"
BLOB = bytes(range(256)) * 20_000


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


CONFIG = {"digest": sha(b"{}"), "size": 2}
MANIFEST = json.dumps({"config": CONFIG, "layers": [{"digest": sha(BLOB), "size": len(BLOB)}]}).encode()


class Handler(BaseHTTPRequestHandler):
    """A registry that needs a token, and redirects blobs to storage that must not see it."""

    documents: ClassVar[dict[str, bytes]]
    cut_after: ClassVar[list[int]]  # bytes of each of the next responses of the storage
    ranges: ClassVar[list[str]]
    leaked: ClassVar[list[str]]

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        if self.path.startswith("/token"):
            assert "scope=repository%3Ax%3Apull" in self.path
            self.reply(200, json.dumps({"token": "let-me-in"}).encode())
        elif self.path.startswith("/storage"):
            if secret := self.headers.get("Authorization"):
                self.leaked.append(secret)
            self.send_blob()
        elif self.headers.get("Authorization") != "Bearer let-me-in":
            challenge = f'Bearer realm="{here}/token",service="s",scope="repository:x:pull"'
            self.reply(401, b"", {"WWW-Authenticate": challenge})
        elif self.path.startswith("/v2/x/blobs/"):
            self.reply(307, b"", {"Location": f"http://localhost:{self.headers['Host'].rpartition(':')[2]}/storage"})
        elif self.path in self.documents:
            self.reply(200, self.documents[self.path])
        else:
            self.reply(404, b"")

    def send_blob(self) -> None:
        begin = 0
        if asked := self.headers.get("Range"):
            self.ranges.append(asked)
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
        rest = BLOB[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.cut_after.pop(0)] if self.cut_after else rest)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    Handler.documents, Handler.cut_after, Handler.ranges, Handler.leaked = {}, [], [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(server: str, path: Path, digest: str = sha(BLOB)) -> tuple[int, list[float]]:
    """Download the blob; the sum of what was reported, and the waits."""
    reported: list[int] = []
    waits: list[float] = []
    Registry().fetch(f"{server}/v2/x/blobs/{digest}", path, reported.append, waits.append)
    return sum(reported), waits


def test_blob_is_downloaded_and_the_token_stays_with_the_registry(server: str, tmp_path: Path) -> None:
    assert fetch(server, tmp_path / "blob") == (len(BLOB), [])
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert Handler.leaked == []


def test_lost_connection_is_resumed(server: str, tmp_path: Path) -> None:
    Handler.cut_after = [1_000_000, 500_000]
    reported, waits = fetch(server, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB
    assert Handler.ranges == ["bytes=1000000-", "bytes=1500000-"]
    assert (reported, waits) == (len(BLOB), [2.0, 4.0])


def test_next_run_resumes_what_an_earlier_one_left(server: str, tmp_path: Path) -> None:
    (tmp_path / "blob.partial").write_bytes(BLOB[:3_000_000])
    assert fetch(server, tmp_path / "blob")[0] == len(BLOB) - 3_000_000
    assert Handler.ranges == ["bytes=3000000-"]
    assert (tmp_path / "blob").read_bytes() == BLOB


def test_damaged_rest_of_an_earlier_run_is_downloaded_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "blob.partial").write_bytes(b"x" * 3_000_000)
    fetch(server, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB


def test_wrong_content_is_never_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"does not match its digest; run the same command again"):
        fetch(server, tmp_path / "blob", sha(b"another"))
    assert list(tmp_path.iterdir()) == []


def test_image_is_the_one_for_the_processor(server: str) -> None:
    manifests = [
        {"digest": sha(b"other"), "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": sha(MANIFEST), "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    ]
    Handler.documents = {
        "/v2/x/manifests/1": json.dumps({"mediaType": LIST, "manifests": manifests}).encode(),
        f"/v2/x/manifests/{sha(MANIFEST)}": MANIFEST,
        f"/v2/x/manifests/{sha(b'other')}": b"tampered with",
    }
    image, text = Registry().image(f"{server}/v2/x", "1", "arm64")
    assert (image.manifest, image.config, image.layers) == (sha(MANIFEST), CONFIG["digest"], (sha(BLOB),))
    assert image.size == len(MANIFEST) + 2 + len(BLOB)
    assert text == MANIFEST
    with pytest.raises(RegistryError, match="does not match its digest"):
        Registry().image(f"{server}/v2/x", "1", "amd64")
    with pytest.raises(RegistryError, match="does not exist for riscv64"):
        Registry().image(f"{server}/v2/x", "1", "riscv64")


def test_missing_image_and_silent_registry_are_named(server: str) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:\d+: it does not have it \(404\)"):
        Registry().image(f"{server}/v2/x", "2", "arm64")
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9: Connection refused"):
        Registry().manifest("http://127.0.0.1:9/v2/x/manifests/1")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("httpd:2.4.71", ["http://m:5000/v2/library/httpd", "https://registry-1.docker.io/v2/library/httpd"]),
        ("ollama/ollama:1", ["http://m:5000/v2/ollama/ollama", "https://registry-1.docker.io/v2/ollama/ollama"]),
        ("docker.io/a/b:1", ["http://m:5000/v2/a/b", "https://registry-1.docker.io/v2/a/b"]),
        ("ghcr.io/a/b:1", ["https://ghcr.io/v2/a/b"]),
        ("localhost:5000/b:1", ["http://localhost:5000/v2/b"]),
    ],
)
def test_images_come_from_where_docker_pulls_them(reference: str, expected: list[str]) -> None:
    places, tag = repositories(reference, ("http://m:5000",))
    assert places == expected
    assert tag == reference.rpartition(":")[2]
