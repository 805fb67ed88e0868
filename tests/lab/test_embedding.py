"""Hosts with embedding models: only those, or listed before a chat model."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from hearth.paths import RELEASE_LOG
from lab.models import EMBEDDING, EMBEDDING_WIDTH
from tests.acceptance.api import call
from tests.acceptance.test_doctor import doctor, found
from tests.browser.conftest import OpenChat
from tests.lab.checks import serves
from tests.lab.machine import Run, deploy, on_guest, url

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

SIZES = json.dumps({EMBEDDING: 0.1, "tinyllama": 0.1})
# Another setting, to create a new release.
NEW = 'ollama_keep_alive="6m"'
EMBED_ROUTE = '{"path": "/api/embed", "to": "/api/embed", "methods": ["POST"]}'


def settings(*models: str) -> tuple[str, ...]:
    return (f"ollama_models={json.dumps(models)}", f"ollama_model_sizes_gb={SIZES}", NEW)


def accepted(*data: str) -> Run:
    """A deploy with a new release, which is accepted; the next one has nothing to do."""
    run = deploy(*data)
    assert run.code == 0, run.output
    assert json.loads(on_guest(f"sudo tail -n 1 {RELEASE_LOG}"))["event"] == "accepted"
    quiet = deploy(*data)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    return run


def test_embedding_model_listed_first(open_chat: OpenChat) -> None:
    run = accepted(*settings(EMBEDDING, "tinyllama"))
    assert "a test prompt was answered through the proxy" in run.output, run.output
    serves(("tinyllama",))
    code, document = doctor(url(), "--timeout", "20")
    assert (code, found(document)) == (0, []), document
    prompt = next(step for step in document["steps"] if step["name"] == "prompt")
    assert prompt["data"]["model"] != f"{EMBEDDING}:latest"
    assert prompt["data"]["tokens"] > 0
    chat = open_chat(url())
    assert EMBEDDING not in chat.models()
    chat.send_and_wait("Who are you?")


def test_embedding_models_only(open_chat: OpenChat) -> None:
    run = accepted(*settings(EMBEDDING), "ollama_prune_models=true", f"proxy_extra_routes=[{EMBED_ROUTE}]")
    assert f"{EMBEDDING} returns embeddings. No model in ollama_models can chat" in run.output, run.output
    listed = [model["name"] for model in call(url(), "GET", "/api/tags").json()["models"]]
    assert listed == [f"{EMBEDDING}:latest"]
    made = call(url(), "POST", "/api/embed", {"model": EMBEDDING, "input": "hello"}, timeout=300).json()
    assert len(made["embeddings"][0]) == EMBEDDING_WIDTH

    code, document = doctor(url(), "--timeout", "20")
    assert (code, found(document)) == (0, []), document
    prompt = next(step for step in document["steps"] if step["name"] == "prompt")
    assert prompt["data"] == {"model": f"{EMBEDDING}:latest", "embedding": EMBEDDING_WIDTH}

    page = open_chat(url(), is_ready=False).page
    expect(page.locator("#notice-text")).to_contain_text(
        f"This server has only embedding models (“{EMBEDDING}”), which can't answer prompts."
    )


def test_embedding_models_only_without_a_route() -> None:
    """The doctor can't test a route that does not exist, and reports no problem; the release is tested from inside."""
    run = accepted(*settings(EMBEDDING), "ollama_prune_models=true", "proxy_extra_routes=[]")
    assert f"{EMBEDDING} returns embeddings" in run.output, run.output
    code, document = doctor(url(), "--timeout", "20")
    assert (code, found(document)) == (0, []), document
    prompt = next(step for step in document["steps"] if step["name"] == "prompt")
    assert prompt["state"] == "skipped", prompt
