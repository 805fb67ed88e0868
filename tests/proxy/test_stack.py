"""The stack: page, response and reload, with the real programs."""

from __future__ import annotations

import json

from lab.models import TINYLLAMA_SENTENCE
from tests.acceptance.api import call, stream
from tests.proxy.conftest import Serve
from tests.proxy.ollama import Ollama
from tests.support.proxy_rules.behaviour import wait_until

PROMPT = {"model": "tinyllama", "prompt": "hi"}


def test_prompt_is_answered_through_the_proxy(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, chat_title="Kitchen <Pi>")
    assert b"<title>Kitchen &lt;Pi&gt;</title>" in call(web.url, "GET", "/").body
    before = ollama.requests()
    lines = [json.loads(line.text) for line in stream(web.url, "/api/ollama", PROMPT)]
    assert "".join(line["response"] for line in lines).strip() == TINYLLAMA_SENTENCE
    assert ollama.wait_for_requests(before + 1) == before + 1
    wait_until(lambda: '"POST /api/ollama HTTP/1.1" 200' in web.log(), 5)


def test_reload_applies_the_new_configuration(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address)
    assert call(web.url, "GET", "/", headers={"Host": "new.example"}).status == 421
    web.write(web.settings.model_copy(update={"proxy_host_names": ("new.example",)}))
    web.apply()
    assert call(web.url, "GET", "/", headers={"Host": "new.example"}).status == 200


def test_invalid_configuration_is_refused_and_the_old_one_stays_active(serve: Serve) -> None:
    web = serve()
    with (web.tree / "httpd/httpd.conf").open("a") as conf:
        conf.write("Nonsense on\n")
    done = web.reload()
    assert done.code != 0
    assert "Nonsense" in done.output
    assert call(web.url, "GET", "/").status == 200
