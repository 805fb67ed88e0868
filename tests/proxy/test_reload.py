"""Reloads while responses stream: each leaves a process behind, until its last response ends."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import ExitStack, closing

from tests.acceptance.api import call
from tests.proxy.conftest import Serve
from tests.proxy.upstream import Upstream, words
from tests.support.proxy_rules.behaviour import wait_until

PROMPT = json.dumps({"model": "tinyllama", "prompt": "hi"})
# A deploy of five backends, one after another.
RELOADS = 10


def test_new_requests_are_served_after_many_reloads(serve: Serve) -> None:
    """At an address that httpd takes for its own container's, so that it shows its processes."""
    web = serve(address="127.0.0.1", ollama_pools={"default": [{"host": "pi", "url": "http://ollama:11434"}]})
    with Upstream(web.address, words(count=600, pause=0.2)), ExitStack() as held:
        answers = []
        for _ in range(RELOADS):
            connection = held.enter_context(closing(http.client.HTTPConnection(web.address, web.port, timeout=60)))
            connection.request("POST", "/api/ollama", PROMPT, {"Content-Type": "application/json"})
            answers.append(held.enter_context(closing(connection.getresponse())))
            assert answers[-1].readline()
            web.apply()
            assert call(web.url, "GET", "/", timeout=5).status == 200
        assert all(answer.readline() for answer in answers), "they go on"
        shown = call(web.url, "GET", "/hearth-backends?auto", timeout=5).body.decode()
        # What a deploy compares with ServerLimit before it reloads httpd.
        assert re.findall(r"^Processes: (\d+)$", shown, re.M) == [str(RELOADS + 1)]
    wait_until(lambda: b"\nProcesses: 1\n" in call(web.url, "GET", "/hearth-backends?auto").body, 30)
