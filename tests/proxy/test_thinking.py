"""A real Ollama with a model that thinks: the stream that the browser tests replay is what it sends."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import artefacts
from tests.proxy.ollama import Ollama
from tests.support.gguf_files import ANSWER, THOUGHTS, write_thinker

RECORDED = Path(__file__).parents[1] / "support/recorded/thinking.ndjson"
# By a range over the messages with their thoughts, Ollama recognises a model that thinks, and its tags.
TEMPLATE = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }} "


@pytest.fixture(scope="module")
def thinker(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    weights = write_thinker(tmp_path_factory.mktemp("weights") / "thinker.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(weights).hexdigest()}"
    with Ollama(parts["roots"] / "ollama", tmp_path_factory.mktemp("ollama"), parts["models"], names=()) as server:
        post(server, f"/api/blobs/{digest}", weights)
        body = {"model": "thinker", "files": {"thinker.gguf": digest}, "template": TEMPLATE, "stream": False}
        post(server, "/api/create", json.dumps(body).encode())
        yield server


def post(server: Ollama, path: str, body: bytes) -> list[dict[str, Any]]:
    with urllib.request.urlopen(urllib.request.Request(server.url + path, body), timeout=60) as answer:
        return [json.loads(line) for line in answer.read().splitlines()]


def chat(server: Ollama, **options: Any) -> list[dict[str, Any]]:
    body = {"model": "thinker", "messages": [{"role": "user", "content": "Hi"}], **options}
    return post(server, "/api/chat", json.dumps(body).encode())


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: 0 if name.endswith(("_at", "duration")) else value for name, value in one.items()} for one in events]


def text(events: list[dict[str, Any]], field: str) -> str:
    return "".join(event["message"].get(field, "") for event in events).strip()


def test_the_recorded_stream_is_that_of_ollama(thinker: Ollama) -> None:
    (show,) = post(thinker, "/api/show", b'{"model": "thinker"}')
    assert "thinking" in show["capabilities"]
    events = chat(thinker)
    assert (text(events, "thinking"), text(events, "content")) == (THOUGHTS, ANSWER)
    recorded = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    assert without_times(events) == without_times(recorded)


def test_ollama_leaves_the_tags_in_the_text_if_it_is_told_not_to_think(thinker: Ollama) -> None:
    """What the page then separates itself: the model thinks whatever it is told."""
    events = chat(thinker, think=False)
    assert text(events, "thinking") == ""
    assert text(events, "content") == f"<think> {THOUGHTS} </think> {ANSWER}"
