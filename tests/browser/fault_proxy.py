"""A faulty network in front of a healthy server: relays to a deployed Hearth and injects faults into responses.

Requests are forwarded unchanged, including `Host` and `Origin`, so the server receives an ordinary same-origin request.
Only responses of the streaming routes are changed: split into small chunks, with bytes replaced, cut off, or replaced
by a response that a healthy lab would not send.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

STREAMING = ("/api/ollama", "/api/chat")
PageFiles = dict[str, tuple[list[tuple[str, str]], bytes]]  # path → headers, content
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Fault:
    """The changes to a streamed response; none by default.

    `chunk`: bytes per write, 0 for whole lines. `pause`: seconds between writes. `swap`: bytes and their replacement.
    `keep`: lines to forward before the cut, None for all. `tail`: bytes sent at the cut. `ending`: "orderly" ends the
    response correctly, "abrupt" closes the connection mid-stream. `headers`: request headers to overwrite. `responses`:
    path to (status, headers, body), sent instead of the server's; with status 0 the connection is closed without a
    response. `cut`: those of these paths whose connection is closed before the end of the response. `silence`: seconds
    before a streamed response starts.
    """

    chunk: int = 0
    pause: float = 0.0
    swap: tuple[bytes, bytes] = (b"", b"")
    keep: int | None = None
    tail: bytes = b""
    ending: Literal["orderly", "abrupt"] = "orderly"
    headers: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, tuple[int, Mapping[str, str], str]] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    silence: float = 0.0

    def apply(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks to write, in order, for the lines of a response as they arrive."""
        for number, line in enumerate(lines):
            if number == self.keep:
                break
            yield from self._chunks(line.replace(*self.swap) if self.swap[0] else line)
        yield from self._chunks(self.tail)

    def _chunks(self, content: bytes) -> Iterator[bytes]:
        size = self.chunk or len(content)
        for start in range(0, len(content), size or 1):
            yield content[start : start + size]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target: ClassVar[str]
    faults: ClassVar[list[Fault]]  # a single element: the current fault
    posts: ClassVar[list[dict[str, Any]]]
    files: ClassVar[PageFiles]

    def do_GET(self) -> None:
        fault = self.faults[-1]
        if self.path in fault.responses:
            self._send(*fault.responses[self.path], is_cut=self.path in fault.cut)
        elif self.path.startswith("/api/"):
            self._relay(Fault(), b"")
        else:
            self._page()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.posts.append({"path": self.path} | json.loads(body))
        fault = self.faults[-1]  # read again after the silence, since the test may change it
        if self.path in STREAMING and self.posts[-1]["stream"]:
            time.sleep(fault.silence)
            fault = self.faults[-1]
        if self.path in fault.responses:
            self._send(*fault.responses[self.path])
        elif self.path in STREAMING and self.posts[-1]["stream"]:
            self._relay(fault, body)
        else:
            self._relay(Fault(headers=fault.headers if self.path in STREAMING else {}), body)

    def _send(
        self,
        status: int,
        headers: Mapping[str, str] | list[tuple[str, str]],
        body: str | bytes,
        is_cut: bool = False,
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.close_connection = True  # otherwise a closed proxy would still respond on open connections
        if not status:
            return
        self.send_response(status)
        for name, value in dict(headers).items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + is_cut))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _page(self) -> None:
        """Send a file of the page, requested from the lab once: the lab is slow, and the files do not change."""
        if self.path not in self.files:
            upstream = http.client.HTTPConnection(self.target, timeout=60)
            upstream.request("GET", self.path, headers={"Accept": "text/html"})
            response = upstream.getresponse()
            self.files[self.path] = (response.getheaders(), response.read())
            upstream.close()
        self._send(200, *self.files[self.path])

    def _relay(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        upstream = http.client.HTTPConnection(self.target, timeout=180)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            headers = {name.title(): value for name, value in self.headers.items()} | dict(fault.headers)
            for name, value in (headers | {"Connection": "close"}).items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            response = upstream.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            self._write(fault, response)
        except (OSError, http.client.HTTPException):
            pass  # the browser or the server disconnected; closing the connection notifies the other one
        finally:
            upstream.close()

    def _write(self, fault: Fault, response: http.client.HTTPResponse) -> None:
        for content in fault.apply(response):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            if fault.pause:
                time.sleep(fault.pause)
        if fault.ending == "orderly":
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the tests check the browser."""


class FaultProxy:
    """Listens on a free loopback port in front of `target_url` (http only). `fault` may be changed at any time.

    `posts`: every POST, as its JSON and its `path`. `files`: a cache for the page's files.
    """

    def __init__(self, target_url: str, files: PageFiles, port: int = 0) -> None:
        self._faults = [Fault()]
        self.posts: list[dict[str, Any]] = []
        values = {"target": urlsplit(target_url).netloc, "faults": self._faults, "posts": self.posts, "files": files}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), values))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def prompts(self) -> list[dict[str, Any]]:
        """The requests with a prompt; not those that only load a model."""
        return [post for post in self.posts if post.get("messages") or post.get("prompt")]

    @property
    def fault(self) -> Fault:
        return self._faults[-1]

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._faults[:] = [fault]

    def close(self) -> None:
        """Stop listening: connections are refused from now on."""
        with suppress(OSError):
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
