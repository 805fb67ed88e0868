"""A bad network in front of a good server: relays to a deployed Hearth and spoils answers on the way, as it is told.

Requests go through unchanged, `Host` and `Origin` too, so the server sees an ordinary same-origin call. Only the
answers of the streaming routes are spoilt: cut into small pieces, swapped bytes for bytes, cut short, or replaced by
one that a healthy lab would not give.
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
    """What to do to a streamed answer; the default does nothing.

    `piece`: bytes per write, 0 for whole lines. `pause`: seconds between writes. `swap`: bytes and what to put in
    their place. `keep`: lines to pass before the cut, None for all. `tail`: bytes sent at the cut. `ending`: "orderly"
    ends the answer as HTTP wants it, "abrupt" closes the connection in its midst. `headers`: request headers to
    overwrite. `answers`: path to (status, headers, body), said in place of the server; with status 0 the connection is
    closed without a word. `silence`: seconds before a streamed answer begins.
    """

    piece: int = 0
    pause: float = 0.0
    swap: tuple[bytes, bytes] = (b"", b"")
    keep: int | None = None
    tail: bytes = b""
    ending: Literal["orderly", "abrupt"] = "orderly"
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, tuple[int, Mapping[str, str], str]] = field(default_factory=dict)
    silence: float = 0.0

    def spoil(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """What to write, in order, for the lines of an answer as they come."""
        for number, line in enumerate(lines):
            if number == self.keep:
                break
            yield from self._pieces(line.replace(*self.swap) if self.swap[0] else line)
        yield from self._pieces(self.tail)

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        size = self.piece or len(content)
        for start in range(0, len(content), size or 1):
            yield content[start : start + size]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target: ClassVar[str]
    faults: ClassVar[list[Fault]]  # one: the fault in force
    asked: ClassVar[list[dict[str, Any]]]
    files: ClassVar[PageFiles]

    def do_GET(self) -> None:
        fault = self.faults[-1]
        if self.path in fault.answers:
            self._say(*fault.answers[self.path])
        elif self.path.startswith("/api/"):
            self._relay(Fault(), b"")
        else:
            self._page()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append({"path": self.path} | json.loads(body))
        fault = self.faults[-1]  # and once more after the silence: it may be another one by then
        if self.path in STREAMING and self.asked[-1]["stream"]:
            time.sleep(fault.silence)
            fault = self.faults[-1]
        if self.path in fault.answers:
            self._say(*fault.answers[self.path])
        elif self.path in STREAMING and self.asked[-1]["stream"]:
            self._relay(fault, body)
        else:
            self._relay(Fault(headers=fault.headers if self.path in STREAMING else {}), body)

    def _say(self, status: int, headers: Mapping[str, str] | list[tuple[str, str]], body: str | bytes) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.close_connection = True  # else a closed proxy would go on answering over connections it has
        if not status:
            return
        self.send_response(status)
        for name, value in dict(headers).items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _page(self) -> None:
        """A file of the page. The lab gives it once, since it is slow and the files stay the same."""
        if self.path not in self.files:
            upstream = http.client.HTTPConnection(self.target, timeout=60)
            upstream.request("GET", self.path)
            answer = upstream.getresponse()
            self.files[self.path] = (answer.getheaders(), answer.read())
            upstream.close()
        self._say(200, *self.files[self.path])

    def _relay(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        upstream = http.client.HTTPConnection(self.target, timeout=180)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            headers = {name.title(): value for name, value in self.headers.items()} | dict(fault.headers)
            for name, value in (headers | {"Connection": "close"}).items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            self._write(fault, answer)
        except (OSError, http.client.HTTPException):
            pass  # the browser or the server went away, and closing the connection tells the other one
        finally:
            upstream.close()

    def _write(self, fault: Fault, answer: http.client.HTTPResponse) -> None:
        for content in fault.spoil(answer):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            if fault.pause:
                time.sleep(fault.pause)
        if fault.ending == "orderly":
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what matters is seen in the browser."""


class FaultProxy:
    """Listens on a free loopback port in front of `target_url` (http only). `fault` may be changed at any time.

    `asked`: every POST, as its JSON and its `path`. `files`: a cache for the page's own files.
    """

    def __init__(self, target_url: str, files: PageFiles, port: int = 0) -> None:
        self._faults = [Fault()]
        self.asked: list[dict[str, Any]] = []
        told = {"target": urlsplit(target_url).netloc, "faults": self._faults, "asked": self.asked, "files": files}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), told))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def questions(self) -> list[dict[str, Any]]:
        """What the models were asked; not the calls that only load one."""
        return [asked for asked in self.asked if asked.get("messages") or asked.get("prompt")]

    @property
    def fault(self) -> Fault:
        return self._faults[-1]

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._faults[:] = [fault]

    def close(self) -> None:
        """Stop listening: from now on connections are refused."""
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
