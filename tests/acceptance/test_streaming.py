"""Words arrive through the proxy when they are made, not when all are made."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from tests.acceptance.api import call, stream
from tests.acceptance.conftest import Target


def _made(line: str) -> float:
    """Second at which Ollama made a line, by its own clock."""
    stamp: str = json.loads(line)["created_at"]
    # Nanoseconds are more than datetime takes.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", stamp)).timestamp()


def _words(parts: list[dict[str, Any]], text: str, thoughts: str = "thinking") -> str:
    """What was said or thought: a few tokens of a model that thinks are thoughts alone."""
    return "".join((part.get(text) or "") + (part.get(thoughts) or "") for part in parts).strip()


def test_tokens_arrive_when_they_are_generated(target: Target, talker: str) -> None:
    # Once unmeasured: loading the model would hide how the words come.
    call(target.url, "POST", "/api/ollama", {"model": talker, "prompt": "hi", "stream": False}, timeout=600)
    lines = stream(target.url, "/api/ollama", {"model": talker, "prompt": "hi", "options": {"num_predict": 40}})
    made = [_made(line.text) for line in lines]
    arrived = [line.arrived for line in lines]
    assert json.loads(lines[-1].text)["done"] is True
    assert len(lines) > 5, lines
    assert _words([json.loads(line.text) for line in lines], "response"), "not one word"
    # The clocks differ by a constant; the quickest line shows it. What a line took more than that is delay on the way.
    offset = min(here - there for here, there in zip(arrived, made, strict=True))
    delays = [here - there - offset for here, there in zip(arrived, made, strict=True)]
    took = made[-1] - made[0]
    median = sorted(delays)[len(delays) // 2]
    print(
        f"\n{len(lines)} lines made within {took:.2f} s; "
        f"delay on the way: median {median * 1000:.0f} ms, longest {max(delays) * 1000:.0f} ms"
    )
    assert took > 0.2, "the answer was too quick to tell a stream from a buffer"
    # A buffered answer would hold its first line back for as long as the whole took.
    assert delays[0] < took / 2
    assert median < took / 4


def test_openai_route_streams_events(target: Target, talker: str) -> None:
    question = [{"role": "user", "content": "hi"}]
    body = {"model": talker, "messages": question, "stream": True, "max_tokens": 20}
    lines = [line.text for line in stream(target.url, "/v1/chat/completions", body)]
    assert lines[-1] == "data: [DONE]"
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines[:-1]]
    assert _words(deltas, "content", "reasoning"), "not one word"


def test_chat_route_responds(target: Target, talker: str) -> None:
    question = [{"role": "user", "content": "hi"}]
    body = {"model": talker, "messages": question, "options": {"num_predict": 10}}
    lines = [json.loads(line.text) for line in stream(target.url, "/api/chat", body)]
    assert lines[-1]["done"] is True
    assert _words([line["message"] for line in lines], "content"), "not one word"
