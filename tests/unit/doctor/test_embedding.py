"""Which model the doctor asks, where some of them make embeddings and can't be asked anything."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hearth.doctor.checks.result import Step
from hearth.doctor.report import exit_code, format_text, found
from hearth.doctor.runner import Options
from tests.support.doctor.server import Request, serving
from tests.support.doctor.worlds import Answerer, hearth, reply, says, stream
from tests.unit.doctor.test_runner import walk

TALKER = {"name": "llama3.2:1b", "size": 1_300_000_000, "details": {"family": "llama", "families": ["llama"]}}
EMBEDDER = {"name": "all-minilm:latest", "size": 46_000_000, "details": {"family": "bert", "families": ["bert"]}}
# Neither its name nor its architecture tells what it is for.
ODD = {"name": "vectors:1b", "size": 9, "details": {"family": "gemma3", "families": None}}
SHOWN = {
    "llama3.2:1b": ["completion", "tools"],
    "all-minilm:latest": ["embedding"],
    "vectors:1b": ["embedding"],
}


def shows(asked: list[str]) -> Answerer:
    """`/api/show`, which notes what it was asked."""

    def answer(request: Request, connection: socket.socket) -> None:
        name = json.loads(request.body)["model"]
        asked.append(name)
        reply(connection, 200, {"capabilities": SHOWN[name], "model_info": {}})

    return answer


def look(models: Sequence[Mapping[str, Any]], paths: Mapping[str, Answerer]) -> tuple[list[Step], dict[str, Any]]:
    """The walk at a host with these models, and the body of the question it asked."""
    questions: list[dict[str, Any]] = []

    def note(request: Request, connection: socket.socket) -> None:
        questions.append(json.loads(request.body))
        stream(3, 0.01)(request, connection)

    answers = {"/api/tags": says(200, {"models": list(models)}), "/api/ollama": note, **paths}
    with serving(hearth(answers)) as port:
        steps = walk(f"127.0.0.1:{port}", Options(timeout=1, patience=3, tries=1))
    return steps, (questions or [{}])[0]


def told(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model as a newer Ollama lists it."""
    return {**model, "capabilities": SHOWN[str(model["name"])]}


def test_the_smallest_that_talks_is_asked() -> None:
    asked: list[str] = []
    steps, question = look([EMBEDDER, ODD, TALKER], {"/api/show": shows(asked)})
    assert question["model"] == "llama3.2:1b"
    assert asked == ["vectors:1b", "all-minilm:latest", "llama3.2:1b"]
    assert (exit_code(steps), found(steps)) == (0, []), format_text(steps)


def test_a_list_that_says_it_is_believed() -> None:
    asked: list[str] = []
    steps, question = look([told(EMBEDDER), told(ODD), told(TALKER)], {"/api/show": shows(asked)})
    assert question["model"] == "llama3.2:1b"
    assert asked == [], "Ollama has said it already"
    assert exit_code(steps) == 0


@pytest.mark.parametrize(
    "show",
    [
        says(405, b"<h1>Method Not Allowed</h1>"),
        says(503, {"error": "busy, or model server down"}),
        says(200, {"capabilities": "completion"}),
        says(200, b"[1]"),
        says(200, b"<html>"),
    ],
)
def test_where_nothing_says_it_architecture_and_name_do(show: Answerer) -> None:
    named = {"name": "qwen3-embedding:0.6b", "size": 1, "details": {"family": "qwen3", "families": ["qwen3"]}}
    steps, question = look([named, EMBEDDER, TALKER], {"/api/show": show})
    assert question["model"] == "llama3.2:1b"
    assert exit_code(steps) == 0


def test_a_host_for_embeddings_alone_is_well() -> None:
    steps, question = look([EMBEDDER, ODD], {"/api/show": shows([])})
    assert question == {}
    assert (exit_code(steps), found(steps)) == (0, []), format_text(steps)
    seen = {step.name: step.seen for step in steps}
    assert "none of them answers questions" in seen["models"]
    assert seen["prompt"].startswith("not tried: no model here answers questions")


def test_its_embeddings_are_tried_where_they_are_a_route() -> None:
    embeds = says(200, {"model": "vectors:1b", "embeddings": [[0.5] * 64]})
    steps, _ = look([EMBEDDER, ODD], {"/api/show": shows([]), "/api/embed": embeds})
    assert exit_code(steps) == 0
    (step,) = [step for step in steps if step.name == "prompt"]
    assert (step.state, step.data) == ("ok", {"model": "vectors:1b", "embedding": 64})


@pytest.mark.parametrize(
    ("embeds", "cause"),
    [
        (says(500, {"error": "llama runner process has terminated: signal: killed"}), "runner-died"),
        (says(503, {"error": "busy, or model server down"}), "busy"),
        (says(200, {"embeddings": []}), "not-ollama"),
    ],
)
def test_embeddings_that_fail_are_a_finding(embeds: Answerer, cause: str) -> None:
    steps, _ = look([EMBEDDER], {"/api/show": shows([]), "/api/embed": embeds})
    assert [finding.cause.id for _, finding in found(steps)] == [cause], format_text(steps)
    assert exit_code(steps) == 1
