"""Tokens arrive through the proxy as they are generated, not all at the end."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.acceptance.api import call, stream
from tests.acceptance.conftest import Target

pytestmark = pytest.mark.needs("page")
LONG = "Count from one to two hundred, in words."


def _created(line: str) -> float:
    """The second at which Ollama created a line, by its own clock."""
    stamp: str = json.loads(line)["created_at"]
    # datetime does not support nanoseconds.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", stamp)).timestamp()


def _words(parts: list[dict[str, Any]], text: str, thoughts: str = "thinking") -> str:
    """The reply and the thinking: the first tokens of a thinking model are only thinking."""
    return "".join((part.get(text) or "") + (part.get(thoughts) or "") for part in parts).strip()


def test_tokens_arrive_when_they_are_generated(
    target: Target, chat_model: str, capabilities: dict[str, list[str]]
) -> None:
    chat_models = [model for model, can in capabilities.items() if "completion" in can]
    # The later ones for a host on which 40 tokens take no time, and for models that say little.
    attempts = [(chat_model, "hi", 40), *((model, LONG, 1000) for model in chat_models)]
    for model, words, tokens in attempts:
        # Not measured: loading the model would distort the timing.
        load = {"model": model, "prompt": "hi", "stream": False, "options": {"num_predict": 1}}
        call(target.url, "POST", "/api/ollama", load, timeout=600)
        body = {"model": model, "prompt": words, "options": {"num_predict": tokens}}
        lines = stream(target.url, "/api/ollama", body)
        created = [_created(line.text) for line in lines]
        duration = created[-1] - created[0]
        if duration > 0.2:
            break
    arrived = [line.arrived for line in lines]
    assert json.loads(lines[-1].text)["done"] is True
    assert len(lines) > 5, lines
    assert _words([json.loads(line.text) for line in lines], "response"), "no tokens"
    # The clocks differ by a constant, which the fastest line shows. The excess of other lines is their delay.
    offset = min(arrival - creation for arrival, creation in zip(arrived, created, strict=True))
    delays = [arrival - creation - offset for arrival, creation in zip(arrived, created, strict=True)]
    median = sorted(delays)[len(delays) // 2]
    print(
        f"\n{len(lines)} lines generated within {duration:.2f} s; "
        f"delay: median {median * 1000:.0f} ms, longest {max(delays) * 1000:.0f} ms"
    )
    assert duration > 0.2, "the response was too fast to distinguish a stream from a buffer"
    # A buffer would delay the first line by the whole duration.
    assert delays[0] < duration / 2
    assert median < duration / 4


def test_openai_route_streams_events(target: Target, chat_model: str) -> None:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": chat_model, "messages": messages, "stream": True, "max_tokens": 20}
    lines = [line.text for line in stream(target.url, "/v1/chat/completions", body)]
    assert lines[-1] == "data: [DONE]"
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines[:-1]]
    assert _words(deltas, "content", "reasoning"), "no tokens"


def test_chat_route_responds(target: Target, chat_model: str) -> None:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": chat_model, "messages": messages, "options": {"num_predict": 10}}
    lines = [json.loads(line.text) for line in stream(target.url, "/api/chat", body)]
    assert lines[-1]["done"] is True
    assert _words([line["message"] for line in lines], "content"), "no tokens"
