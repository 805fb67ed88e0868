"""A bad line in front of a good image registry: relays what Docker asks, and spoils answers as it is told."""

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

# Where QEMU's user networking shows this machine's loopback to the guest.
SEEN_FROM_GUEST = "10.0.2.2"
_PIECE = 65536


@dataclass
class Trouble:
    """What to spoil; the default is a good line. Numbers are counted down.

    Attributes:
        errors: so many requests are answered 500.
        cuts: so many answers with a large blob are cut off after `keep` bytes.
        silent: every request is taken, and none is answered.
        pace: bytes a second of a blob; 0 for as fast as it goes.
    """

    errors: int = 0
    cuts: int = 0
    keep: int = 0
    silent: bool = False
    pace: int = 0


class FaultRegistry:
    """Listens on a free port of the loopback in front of a registry on `target`. `trouble` may be set at any time.

    Attributes:
        url: as the guest reaches it.
        sent: blob digest → bytes of it that were sent.
        asked: requests that came.
    """

    def __init__(self, target: int) -> None:
        self.trouble = Trouble()
        self.sent: Counter[str] = Counter()
        self.asked = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"target": target, "registry": self})
        self._server = ThreadingHTTPServer((LOOPBACK, 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        self.url = f"http://{SEEN_FROM_GUEST}:{self.port}"
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
            registry.asked += 1
            trouble = registry.trouble
            failing = trouble.errors > 0
            trouble.errors -= failing
        if trouble.silent:
            registry.closing.wait(3600)
            return
        if failing:
            self.send_error(500)
            return
        with suppress(OSError, http.client.HTTPException):  # one of the two went away: closing tells the other
            self._relay(trouble)

    do_HEAD = do_GET

    def _relay(self, trouble: Trouble) -> None:
        upstream = http.client.HTTPConnection(LOOPBACK, self.target, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            # One by one, not as a dict: Docker's client sends a line "Accept" for each kind of manifest that it knows.
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
                self._body(answer, trouble)
        finally:
            upstream.close()

    def _body(self, answer: http.client.HTTPResponse, trouble: Trouble) -> None:
        registry, digest = self.registry, self.path.partition("?")[0].rpartition("/")[2]
        is_blob = "/blobs/" in self.path
        with registry.lock:
            is_cut = is_blob and trouble.cuts > 0 and (answer.length or 0) > trouble.keep
            trouble.cuts -= is_cut
        left = trouble.keep if is_cut else None
        while left != 0 and (piece := answer.read(_PIECE if left is None else min(_PIECE, left))):
            self.wfile.write(piece)
            if left is not None:
                left -= len(piece)
            if is_blob:
                with registry.lock:
                    registry.sent[digest] += len(piece)
                if trouble.pace:
                    time.sleep(len(piece) / trouble.pace)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests look at what was counted."""
