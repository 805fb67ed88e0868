"""Which model the doctor prompts if some are embedding models, which can't answer prompts."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hearth.doctor.checks.result import Step
from hearth.doctor.report import collect_findings, exit_code, format_text
from tests.support.doctor.handlers import hearth, reply, responding, stream
from tests.support.doctor.server import Handler, Request, serving
from tests.unit.doctor.test_runner import diagnose

CHAT_MODEL = {"name": "llama3.2:1b", "size": 1_300_000_000, "details": {"family": "llama", "families": ["llama"]}}
EMBEDDING_MODEL = {"name": "all-minilm:latest", "size": 46_000_000, "details": {"family": "bert", "families": ["bert"]}}
# Neither its name nor its architecture shows its purpose.
UNCLEAR_MODEL = {"name": "vectors:1b", "size": 9, "details": {"family": "gemma3", "families": None}}
CAPABILITIES = {
    "llama3.2:1b": ["completion", "tools"],
    "all-minilm:latest": ["embedding"],
    "vectors:1b": ["embedding"],
}


def show_handler(requested: list[str]) -> Handler:
    """A handler for `/api/show` that records the requested models."""

    def answer(request: Request, connection: socket.socket) -> None:
        name = json.loads(request.body)["model"]
        requested.append(name)
        reply(connection, 200, {"capabilities": CAPABILITIES[name], "model_info": {}})

    return answer


def diagnose_models(
    models: Sequence[Mapping[str, Any]], paths: Mapping[str, Handler]
) -> tuple[list[Step], dict[str, Any]]:
    """Diagnose a host with these models; returns the steps and the body of the prompt."""
    prompts: list[dict[str, Any]] = []

    def record(request: Request, connection: socket.socket) -> None:
        prompts.append(json.loads(request.body))
        stream(3, 0.01)(request, connection)

    answers = {"/api/tags": responding(200, {"models": list(models)}), "/api/ollama": record, **paths}
    with serving(hearth(answers)) as port:
        steps = diagnose(f"127.0.0.1:{port}")
    return steps, (prompts or [{}])[0]


def with_capabilities(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model in the list of a newer Ollama."""
    return {**model, "capabilities": CAPABILITIES[str(model["name"])]}


def test_the_smallest_chat_model_is_prompted() -> None:
    requested: list[str] = []
    steps, prompt = diagnose_models(
        [EMBEDDING_MODEL, UNCLEAR_MODEL, CHAT_MODEL], {"/api/show": show_handler(requested)}
    )
    assert prompt.get("model") == "llama3.2:1b", format_text(steps)
    assert requested == ["vectors:1b", "all-minilm:latest", "llama3.2:1b"]
    assert (exit_code(steps), collect_findings(steps)) == (0, []), format_text(steps)


def test_capabilities_in_the_list_are_used() -> None:
    requested: list[str] = []
    steps, prompt = diagnose_models(
        [with_capabilities(EMBEDDING_MODEL), with_capabilities(UNCLEAR_MODEL), with_capabilities(CHAT_MODEL)],
        {"/api/show": show_handler(requested)},
    )
    assert prompt.get("model") == "llama3.2:1b", format_text(steps)
    assert requested == [], "the list already has the capabilities"
    assert exit_code(steps) == 0, format_text(steps)


@pytest.mark.parametrize(
    "show",
    [
        responding(405, b"<h1>Method Not Allowed</h1>"),
        responding(503, {"error": "busy, or model server down"}),
        responding(200, {"capabilities": "completion"}),
        responding(200, b"[1]"),
        responding(200, b"<html>"),
    ],
)
def test_without_capabilities_architecture_and_name_decide(show: Handler) -> None:
    named = {"name": "qwen3-embedding:0.6b", "size": 1, "details": {"family": "qwen3", "families": ["qwen3"]}}
    steps, prompt = diagnose_models([named, EMBEDDING_MODEL, CHAT_MODEL], {"/api/show": show})
    assert prompt.get("model") == "llama3.2:1b", format_text(steps)
    assert exit_code(steps) == 0, format_text(steps)


def test_a_host_with_embedding_models_only_has_no_problem() -> None:
    steps, prompt = diagnose_models([EMBEDDING_MODEL, UNCLEAR_MODEL], {"/api/show": show_handler([])})
    assert prompt == {}
    assert (exit_code(steps), collect_findings(steps)) == (0, []), format_text(steps)
    texts = {step.name: step.observed for step in steps}
    assert "all of them are embedding models" in texts["models"]
    assert texts["prompt"].startswith("skipped: all models are embedding models")


def test_embeddings_are_checked_if_they_are_a_route() -> None:
    embeds = responding(200, {"model": "vectors:1b", "embeddings": [[0.5] * 64]})
    steps, _ = diagnose_models([EMBEDDING_MODEL, UNCLEAR_MODEL], {"/api/show": show_handler([]), "/api/embed": embeds})
    assert exit_code(steps) == 0, format_text(steps)
    (step,) = [step for step in steps if step.name == "prompt"]
    assert (step.state, step.data) == ("ok", {"model": "vectors:1b", "embedding": 64})


@pytest.mark.parametrize(
    ("embeds", "cause"),
    [
        (responding(500, {"error": "llama runner process has terminated: signal: killed"}), "runner-died"),
        (responding(503, {"error": "busy, or model server down"}), "busy"),
        (responding(200, {"embeddings": []}), "not-ollama"),
    ],
)
def test_failing_embeddings_are_a_finding(embeds: Handler, cause: str) -> None:
    steps, _ = diagnose_models([EMBEDDING_MODEL], {"/api/show": show_handler([]), "/api/embed": embeds})
    assert [finding.cause.id for _, finding in collect_findings(steps)] == [cause], format_text(steps)
    assert exit_code(steps) == 1, format_text(steps)
