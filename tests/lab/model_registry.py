"""Model registries for tests: a copy of the lab's, in which models can be changed, and a proxy that fails."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import artefacts, cache, ports, registry

HOST_ADDRESS = "10.0.2.2"
_MODEL = "application/vnd.ollama.image.model"
_TEMPLATE = "application/vnd.ollama.image.template"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Storage:
    """A registry's files, in the layout of docker-registry."""

    def __init__(self, root: Path) -> None:
        self.root = root / "docker/registry/v2"

    def _link(self, repository: str, name: str, digest: str) -> None:
        path = self.root / "repositories" / repository / name / "link"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"sha256:{digest}")

    def blob(self, content: bytes) -> str:
        """Store a file; its digest in hex."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.root / "blobs/sha256" / digest[:2] / digest / "data"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest of `library/NAME:latest`."""
        link = self.root / "repositories/library" / name / "_manifests/tags/latest/current/link"
        digest = link.read_text().strip().removeprefix("sha256:")
        text = (self.root / "blobs/sha256" / digest[:2] / digest / "data").read_text()
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def put(self, name: str, manifest: Mapping[str, Any]) -> None:
        """Store the manifest of `library/NAME:latest`, whose files must exist."""
        repository = f"library/{name}"
        digest = self.blob(json.dumps(manifest).encode())
        for part in (manifest["config"], *manifest["layers"]):
            hexadecimal = part["digest"].removeprefix("sha256:")
            self._link(repository, f"_layers/sha256/{hexadecimal}", hexadecimal)
        self._link(repository, f"_manifests/revisions/sha256/{digest}", digest)
        self._link(repository, f"_manifests/tags/latest/index/sha256/{digest}", digest)
        self._link(repository, "_manifests/tags/latest/current", digest)

    def change_template(self, name: str, template: str) -> str:
        """Change a model's template and keep its name; the digest of the new file."""
        manifest = self.manifest(name)
        digest = self.blob(template.encode())
        for layer in manifest["layers"]:
            if layer["mediaType"] == _TEMPLATE:
                layer["digest"], layer["size"] = f"sha256:{digest}", len(template)
        self.put(name, manifest)
        return digest

    def add_filler(self, name: str, size: int) -> str:
        """Add a model of `size` bytes that can be pulled but not run; the digest of its weights."""
        pattern = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(1 << 15))
        weights = (pattern * (size // len(pattern) + 1))[:size]
        config = json.dumps({"model_format": "gguf", "model_family": "filler", "rootfs": {"type": "layers"}}).encode()
        digest = self.blob(weights)
        self.put(
            name,
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "digest": f"sha256:{self.blob(config)}",
                    "size": len(config),
                },
                "layers": [{"mediaType": _MODEL, "digest": f"sha256:{digest}", "size": size}],
            },
        )
        return digest


@contextmanager
def own_registry(directory: Path) -> Iterator[tuple[Storage, int]]:
    """A registry over a copy of the lab's models: its storage, and its port on this machine's loopback."""
    keys = artefacts.keys()
    storage = directory / "storage"
    # The original is shared by all checkouts and must not change.
    shutil.copytree(cache.path_of("models", keys["models"]) / "storage", storage)
    with registry.serving(cache.path_of("tools", keys["tools"]) / "docker-registry", storage, directory) as port:
        yield Storage(storage), port


def address_in_guest(port: int) -> str:
    """The address of a loopback port in the guest."""
    return f"http://{HOST_ADDRESS}:{port}"


@dataclass
class Faults:
    """What a proxy does to responses with files, and what it recorded.

    Attributes:
        steps: the fault of each further request for a file's content, in order: ("silent", n) and ("cut", n) after
            n bytes, ("500", 0) immediately. Later requests have no fault.
        served: bytes of files that were sent.
        ranges: the `Range` header of each request for a file's content, "" without one.
    """

    steps: list[tuple[str, int]] = field(default_factory=list)
    served: int = 0
    ranges: list[str] = field(default_factory=list)


@contextmanager
def faulty_proxy(to: int, faults: Faults, least: int = 1 << 20) -> Iterator[int]:
    """A proxy in front of a registry, for faults in files of at least `least` bytes; yields its port."""
    ending = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            upstream = http.client.HTTPConnection(ports.LOOPBACK, to, timeout=30)
            wanted = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            upstream.request(self.command, self.path, headers=wanted | {"Host": self.headers["Host"]})
            answer = upstream.getresponse()
            size = int(answer.headers.get("Content-Length", 0))
            big = self.command == "GET" and "/blobs/" in self.path and size >= least
            # Ollama first requests the whole file, only to find its location.
            what, after = faults.steps.pop(0) if big and faults.steps and self.headers["Range"] else ("", 0)
            if big:
                faults.ranges.append(self.headers["Range"] or "")
            self.close_connection = True
            if what == "500":
                self.send_error(500)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            sent = 0
            while self.command == "GET" and (piece := answer.read(16384)):
                if what and sent + len(piece) > after:
                    while what == "silent" and not ending.is_set() and self._is_open():
                        time.sleep(0.2)
                    return
                try:
                    self.wfile.write(piece)
                except OSError:
                    return
                sent += len(piece)
                faults.served += len(piece) if big else 0

        def _is_open(self) -> bool:
            self.connection.setblocking(False)
            try:
                return bool(self.connection.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                return True
            except OSError:
                return False

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            # With large buffers, unsent bytes of an abandoned connection would count as served.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            return connection, address

    with Server((ports.LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            ending.set()
            server.shutdown()
