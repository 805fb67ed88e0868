"""Backends that Hearth does not manage."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hearth.preflight.backends import BackendModels, backend_obstacles, backend_warnings, external_backends
from hearth.settings.pools import OWN_OLLAMA
from tests.support.shipped import shipped_settings

MAC = "http://192.168.1.30:11434"
PI = "192.168.1.189"
SETTINGS = shipped_settings(ollama_pools={"default": [{"host": PI, "url": OWN_OLLAMA}, {"host": "mac", "url": MAC}]})
HOUSE = {PI: SETTINGS}


def test_a_backend_without_its_pools_models_is_refused() -> None:
    assert external_backends(SETTINGS, HOUSE) == (MAC,)
    assert backend_obstacles(SETTINGS, HOUSE, {MAC: frozenset({"llama3.2:1b", "other:latest"})}) == []
    [sentence] = backend_obstacles(SETTINGS, HOUSE, {MAC: frozenset({"other:latest"})})
    assert f"{MAC} lacks llama3.2:1b" in sentence
    assert "`ollama pull llama3.2:1b`" in sentence


def test_a_backend_that_is_off_is_a_warning() -> None:
    assert backend_obstacles(SETTINGS, HOUSE, {MAC: None}) == []
    [sentence] = backend_warnings({MAC: None})
    assert "OLLAMA_HOST=0.0.0.0" in sentence


class Tags(BaseHTTPRequestHandler):
    """What Ollama lists."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"models": [{"name": "llama3.2:1b"}]}).encode())

    def log_message(self, format: str, *values: object) -> None:
        pass


def test_the_models_are_those_that_it_lists() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Tags) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        on = f"http://127.0.0.1:{server.server_address[1]}"
        fact = BackendModels()
        done = subprocess.run(
            ["sh", "-c", fact.command((on, "http://127.0.0.1:9"))], capture_output=True, text=True, check=True
        )
        server.shutdown()
    assert fact.process(done.stdout.splitlines()) == {on: frozenset({"llama3.2:1b"}), "http://127.0.0.1:9": None}
