"""A server that accepts messages as ntfy does: https://docs.ntfy.sh/publish/#publish-as-json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Ntfy:
    """The server.

    Attributes:
        url: for apprise, with a topic that stands for a secret.
        messages: what was published: topic, title, message.
        status: of its responses.
    """

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200


@contextmanager
def serving_ntfy() -> Iterator[Ntfy]:
    """A server on loopback while the block runs."""
    found = Ntfy()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found.status == 200:
                found.messages.append(body)
            answer = json.dumps({"id": "x"} if found.status == 200 else {"code": 40301, "error": "forbidden"}).encode()
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"ntfy://127.0.0.1:{server.server_port}/secret-topic"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
