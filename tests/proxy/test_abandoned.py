"""A prompt without streaming whose client is gone: proxy_timeout frees the model (docs/decisions/0046)."""

from __future__ import annotations

import http.client
import json

from tests.proxy.conftest import Serve
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.test_reuse import listed
from tests.support.proxy_rules.behaviour import wait_until


def prompt(web: Httpd, tokens: int) -> http.client.HTTPConnection:
    """A prompt to the endless model, sent."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
    body = {"model": "tinystory", "prompt": "go", "stream": False, "options": {"num_predict": tokens, "num_thread": 1}}
    connection.request("POST", "/api/ollama", json.dumps(body), {"Content-Type": "application/json"})
    return connection


def answered(web: Httpd) -> bool:
    connection = prompt(web, 1)
    try:
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_the_model_is_free_after_proxy_timeout(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_timeout=5, ollama_load_timeout="5s")
    wait_until(lambda: answered(web), 60)
    abandoned = prompt(web, 40000)  # minutes
    wait_until(lambda: listed(web, ollama.address)[1] != [], 20)
    abandoned.close()
    # One at a time, so this would otherwise wait for the end of the first.
    wait_until(lambda: answered(web), 40)
    wait_until(lambda: listed(web, ollama.address)[1] == [], 20)
