"""Replicas of Docker Hub and Ollama's library, which the guest uses like the real ones.

A name server resolves the three names to this machine, an HTTPS server has a certificate of a test CA for them, and the
guest trusts that CA. They serve what the lab built, under the tags of the default settings, so versions and tags may
differ here.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shlex
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from lab import artefacts, cache, images, ports, process, registry
from tests.lab import registry_copy
from tests.lab.machine import on_guest
from tests.lab.registry_fault import HOST_ADDRESS
from tests.support.shipped import defaults

IMAGES, TOKENS, MODELS = NAMES = ("registry-1.docker.io", "auth.docker.io", "registry.ollama.ai")
_GUESTS_NAME_SERVER = "10.0.2.3"  # QEMU's, which forwards to this machine's
_APT = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq -y"
_HOOKS = ("output", "prerouting")
_PIECE = 1 << 16


@dataclass
class HubReplica:
    """The servers on this machine's loopback.

    Attributes:
        https: port of the three services.
        names: port of the name server (UDP).
        authority: certificate of the test CA, PEM.
        served: name → number of successful requests.
    """

    https: int
    names: int
    authority: bytes
    served: Counter[str] = field(default_factory=Counter)


@contextmanager
def running(directory: Path) -> Iterator[HubReplica]:
    """The replicas, as long as the block runs. `directory` holds a copy of the lab's images."""
    authority = create_authority(directory / "authority", NAMES, today())
    pem = directory / "hub.pem"
    pem.write_bytes(authority.issue(NAMES, today()))
    keys = artefacts.keys()
    paths = {name: cache.path_of(name, keys[name]) for name in ("tools", "images", "smollm2")}
    storage = directory / "images"
    registry_copy.copy_storage(storage)
    _tag_as_shipped(storage, images.tags(paths["images"]), authority.pem)
    program = paths["tools"] / "docker-registry"
    to = dict(zip((IMAGES, MODELS), ports.free(2), strict=True))
    storages = {IMAGES: storage, MODELS: paths["smollm2"] / "storage"}
    pids = [registry.start(program, storages[name], to[name], directory, name) for name in to]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    try:
        with _name_server() as names, _https_server(context, to) as (https, served):
            yield HubReplica(https, names, authority.pem, served)
    finally:
        for pid in pids:
            process.end(pid, str(directory))


def redirect_guest(replica: HubReplica) -> None:
    """Redirect the guest to the replicas, through its network and its trust store, not through Hearth."""
    certificate = shlex.quote(replica.authority.decode())
    on_guest(
        f"echo {certificate} | sudo tee /usr/local/share/ca-certificates/test-authority.crt >/dev/null"
        " && sudo update-ca-certificates >/dev/null"
    )
    on_guest(f"{_APT} update && {_APT} install --no-install-recommends nftables </dev/null >/dev/null", timeout=600)
    # For processes on the guest, and for its containers, which do not use the guest's /etc/hosts.
    rules = (
        f"ip daddr {_GUESTS_NAME_SERVER} udp dport 53 dnat to {HOST_ADDRESS}:{replica.names};"
        f"ip daddr {HOST_ADDRESS} tcp dport 443 dnat to {HOST_ADDRESS}:{replica.https};"
    )
    chains = "\n".join(f"chain {hook} {{ type nat hook {hook} priority -150; {rules} }}" for hook in _HOOKS)
    table = f"table ip replicas {{\n{chains}\n}}"
    on_guest(f"echo {shlex.quote(table)} | sudo nft -f -")
    on_guest("sudo resolvectl flush-caches")
    for name in NAMES:
        assert on_guest(f"getent ahostsv4 {name}").startswith(HOST_ADDRESS)


def _tag_as_shipped(storage: Path, built: Mapping[str, str], authority: bytes) -> None:
    """Tag the built images like the shipped defaults; Ollama's image trusts only the test CA."""
    shipped = {"httpd": defaults()["proxy_image"], "ollama": defaults()["ollama_image"]}
    added = {"httpd": {"etc/stand-in": b""}, "ollama": {"etc/ssl/certs/ca-certificates.crt": authority}}
    for name, image in built.items():
        repository, _, base = image.partition(":")
        wanted, _, tag = shipped[name].partition(":")
        assert wanted == repository
        path = repository if "/" in repository else f"library/{repository}"
        registry_copy.add_image(storage, path, base, tag, added[name])


class _Handler(BaseHTTPRequestHandler):
    """The three services, distinguished by host name."""

    to: ClassVar[Mapping[str, int]]
    token: ClassVar[str]
    served: ClassVar[Counter[str]]
    guard: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        name = self.headers["Host"].partition(":")[0]
        if name == TOKENS:
            self._json(200, {"token": self.token, "expires_in": 3600})
        elif name == IMAGES and self.headers["Authorization"] != f"Bearer {self.token}":
            # Like Docker Hub: everything needs a token, which every client gets.
            challenge = f'Bearer realm="https://{TOKENS}/token",service="registry.docker.io"'
            self._json(401, {"errors": [{"code": "UNAUTHORIZED"}]}, {"WWW-Authenticate": challenge})
        elif name in self.to:
            with suppress(OSError, http.client.HTTPException):
                self._relay(name)
        else:
            self.send_error(421)

    do_HEAD = do_GET

    def _relay(self, name: str) -> None:
        upstream = http.client.HTTPConnection(ports.LOOPBACK, self.to[name], timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for header, value in self.headers.items():
            if header.lower() not in ("connection", "authorization"):
                upstream.putheader(header, value)
        upstream.endheaders()
        answer = upstream.getresponse()
        self._count(name, answer.status)
        self.send_response(answer.status)
        for header, value in answer.getheaders():
            if header.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(header, value)
        self.end_headers()
        while piece := answer.read(_PIECE):
            self.wfile.write(piece)
        upstream.close()

    def _json(self, status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._count(self.headers["Host"], status)
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _count(self, name: str, status: int) -> None:
        with self.guard:
            self.served[name] += status in (200, 206)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: tests use the counters."""


class _Server(ThreadingHTTPServer):
    """Does the TLS handshake in the connection's thread, so a stalled client does not block the others."""

    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):
            request.settimeout(120)
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)


@contextmanager
def _https_server(context: ssl.SSLContext, to: Mapping[str, int]) -> Iterator[tuple[int, Counter[str]]]:
    served: Counter[str] = Counter()
    handler = type("Handler", (_Handler,), {"to": to, "token": secrets.token_hex(16), "served": served})
    with _Server((ports.LOOPBACK, 0), handler) as server:
        server.context = context
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_port, served
        finally:
            server.shutdown()


@contextmanager
def _name_server() -> Iterator[int]:
    """Resolves NAMES, and forwards all other queries to this machine's name server; yields its port."""
    upstream = next(
        line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ports.LOOPBACK, 0))

        def serve(query: bytes, client: Any) -> None:
            with suppress(OSError):
                server.sendto(_local_response(query) or _forward(query, upstream), client)

        def listen() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=server.recvfrom(4096), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1]


def _local_response(query: bytes) -> bytes:
    """The response to a query for one of NAMES, else empty. An address for type A, none for other types."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace").lower())
        at += 1 + size
    if ".".join(labels) not in NAMES:
        return b""
    question = query[12 : at + 5]
    [kind] = struct.unpack("!H", query[at + 1 : at + 3])
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(HOST_ADDRESS) if kind == 1 else b""
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(record), 0, 0) + question + record


def _forward(query: bytes, upstream: str) -> bytes:
    family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.settimeout(5)
        other.sendto(query, (upstream, 53))
        return other.recv(4096)
