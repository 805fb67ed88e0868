"""A faulty connection to a working image registry: forwards Docker's requests and injects the given faults."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar

from lab.ports import LOOPBACK

# This machine's loopback in the guest, in QEMU's user networking.
HOST_ADDRESS = "10.0.2.2"
_PIECE = 65536


@dataclass
class Faults:
    """The faults to inject; none by default. Numbers are counted down.

    Attributes:
        errors: number of requests to answer with 500.
        cuts: number of responses with a large blob to cut off after `keep` bytes.
        silent: accept all requests, and respond to none.
        pace: bytes per second of a blob; 0 for no limit.
    """

    errors: int = 0
    cuts: int = 0
    keep: int = 0
    silent: bool = False
    pace: int = 0


class FaultRegistry:
    """Listens on a free port of the loopback in front of a registry on `target`. `faults` may be set at any time.

    Attributes:
        url: in the guest.
        sent: blob digest → bytes sent.
        requests: number of requests received.
    """

    def __init__(self, target: int) -> None:
        self.faults = Faults()
        self.sent: Counter[str] = Counter()
        self.requests = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"target": target, "registry": self})
        self._server = ThreadingHTTPServer((LOOPBACK, 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        self.url = f"http://{HOST_ADDRESS}:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> FaultRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with suppress(OSError):
            self._server.shutdown()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    target: ClassVar[int]
    registry: ClassVar[FaultRegistry]

    def do_GET(self) -> None:
        registry = self.registry
        with registry.lock:
            registry.requests += 1
            faults = registry.faults
            failing = faults.errors > 0
            faults.errors -= failing
        if faults.silent:
            registry.closing.wait(3600)
            return
        if failing:
            self.send_error(500)
            return
        with suppress(OSError, http.client.HTTPException):  # one of the two has disconnected; closing informs the other
            self._relay(faults)

    do_HEAD = do_GET

    def _relay(self, faults: Faults) -> None:
        upstream = http.client.HTTPConnection(LOOPBACK, self.target, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            # One by one, not as a dict: Docker's client sends an "Accept" line for each kind of manifest.
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    upstream.putheader(name, value)
            upstream.endheaders()
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command == "GET":
                self._body(answer, faults)
        finally:
            upstream.close()

    def _body(self, answer: http.client.HTTPResponse, faults: Faults) -> None:
        registry, digest = self.registry, self.path.partition("?")[0].rpartition("/")[2]
        is_blob = "/blobs/" in self.path
        with registry.lock:
            is_cut = is_blob and faults.cuts > 0 and (answer.length or 0) > faults.keep
            faults.cuts -= is_cut
        left = faults.keep if is_cut else None
        while left != 0 and (piece := answer.read(_PIECE if left is None else min(_PIECE, left))):
            self.wfile.write(piece)
            if left is not None:
                left -= len(piece)
            if is_blob:
                with registry.lock:
                    registry.sent[digest] += len(piece)
                if faults.pace:
                    time.sleep(len(piece) / faults.pace)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: tests use the counters."""
