"""The page with an upstream that no real model can be: as fast, and with as long an answer, as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hearth.render.chat_page import render_page
from tests.support.shipped import shipped_settings

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_MODEL = {"name": "fast:latest", "size": 1, "capabilities": ["completion", "thinking"]}
PIECE = 24  # characters


@dataclass
class FastModel:
    """The server.

    Attributes:
        url: of the page.
        answer: what every prompt gets.
        rate: pieces of the answer per second; 0 for all at once.
        prompts: the bodies of the prompts so far.
        error: what prompts get instead, with 400.
        stream: what prompts get instead of `answer`: lines as Ollama sends them.
    """

    url: str = ""
    answer: str = ""
    rate: float = 0
    error: str = ""
    stream: str = ""

    def __post_init__(self) -> None:
        self.prompts: list[dict[str, object]] = []


@contextmanager
def fast_model() -> Iterator[FastModel]:
    """The server on loopback while the block runs."""
    model = FastModel()
    files = render_page(shipped_settings())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each body waits for the acknowledgement of its header: up to 40 ms.
        disable_nagle_algorithm = True

        def log_message(self, *_arguments: object) -> None:
            pass

        def _send(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            name = self.path.lstrip("/") or "index.html"
            if name == "api/tags":
                self._send(json.dumps({"models": [_MODEL]}).encode())
            elif name == "api/version":
                self._send(b'{"version": "0"}')
            elif name in files:
                self._send(files[name], _TYPES[name.rpartition(".")[2]])
            else:
                self._send(b"", status=404)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not body.get("messages"):  # to load the model
                self._send(b'{"done": true}')
                return
            model.prompts.append(body)
            if model.error:
                self._send(json.dumps({"error": model.error}).encode(), status=400)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Connection", "close")
            self.end_headers()
            begun = time.monotonic()
            if model.stream:
                self.wfile.write(model.stream.encode())
                self.close_connection = True
                return
            try:
                for number, at in enumerate(range(0, len(model.answer), PIECE), 1):
                    self._line({"message": {"content": model.answer[at : at + PIECE]}})
                    if model.rate:
                        time.sleep(max(0, begun + number / model.rate - time.monotonic()))
                self._line({"message": {}, "done": True, "prompt_eval_count": 3000, "eval_count": 500})
            except OSError:
                pass  # the page has stopped the answer
            self.close_connection = True

        def _line(self, event: dict[str, object]) -> None:
            self.wfile.write(f"{json.dumps(event)}\n".encode())
            self.wfile.flush()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        model.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()
