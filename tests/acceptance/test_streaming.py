"""Words arrive through the proxy when they are made, not when all are made."""

from __future__ import annotations

import json
import re
from datetime import datetime

from hearth.settings import Settings
from tests.acceptance.api import call, stream
from tests.acceptance.conftest import Target


def _made(line: str) -> float:
    """Second at which Ollama made a line, by its own clock."""
    stamp: str = json.loads(line)["created_at"]
    # Nanoseconds are more than datetime takes.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", stamp)).timestamp()


def test_each_word_arrives_when_it_is_made(target: Target, settings: Settings) -> None:
    model = settings.ollama_models[0]
    # Once unmeasured: loading the model would hide how the words come.
    call(target.url, "POST", "/api/ollama", {"model": model, "prompt": "hi", "stream": False}, timeout=600)
    lines = stream(target.url, "/api/ollama", {"model": model, "prompt": "hi", "options": {"num_predict": 40}})
    made = [_made(line.text) for line in lines]
    arrived = [line.arrived for line in lines]
    assert json.loads(lines[-1].text)["done"] is True
    assert len(lines) > 5, lines
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


def test_openai_route_streams_events(target: Target, settings: Settings) -> None:
    question = [{"role": "user", "content": "hi"}]
    body = {"model": settings.ollama_models[0], "messages": question, "stream": True, "max_tokens": 20}
    lines = [line.text for line in stream(target.url, "/v1/chat/completions", body)]
    assert lines[-1] == "data: [DONE]"
    words = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
    assert "".join(words).strip()


def test_chat_route_answers(target: Target, settings: Settings) -> None:
    question = [{"role": "user", "content": "hi"}]
    body = {"model": settings.ollama_models[0], "messages": question, "options": {"num_predict": 10}}
    lines = [json.loads(line.text) for line in stream(target.url, "/api/chat", body)]
    assert lines[-1]["done"] is True
    assert "".join(line["message"]["content"] for line in lines).strip()
