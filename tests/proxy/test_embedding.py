"""Embedding models: what the real Ollama reports about them, and how releases and the doctor handle them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.docker.trial import TRIAL as TRIAL_SCRIPT
from hearth.gpu.use import CHECK_GPU
from hearth.releases.operations import SCRIPT
from hearth.releases.release import trial_prompt
from lab import artefacts
from lab.models import EMBEDDING, EMBEDDING_WIDTH
from tests.acceptance.api import call
from tests.lab.held import held
from tests.proxy.conftest import Serve
from tests.proxy.container import Done
from tests.proxy.diagnosed import causes
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.support.proxy_rules.behaviour import wait_until

BOTH = (EMBEDDING, "tinyllama")
EMBED_ROUTE = [{"path": "/api/embed", "to": "/api/embed", "methods": ["POST"]}]
TRIAL = "/trial"
# Replaces `docker exec CONTAINER COMMAND …`, since the script runs in that container.
DOCKER = 'docker() { shift 2; "$@"; }'


@pytest.fixture(scope="module")
def mixed(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    directory = tmp_path_factory.mktemp("mixed")
    with Ollama(parts["roots"] / "ollama", directory, parts["models"], names=(*BOTH, "tinystory")) as server:
        yield server


@pytest.fixture(scope="module")
def embedding_only(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    directory = tmp_path_factory.mktemp("embedding")
    with Ollama(parts["roots"] / "ollama", directory, parts["models"], names=(EMBEDDING,)) as server:
        yield server


def check_release(web: Httpd, directory: Path) -> Done:
    """Run the test of a release in httpd's container, where `directory` is mounted as TRIAL."""
    prompt = trial_prompt(web.settings)
    words = (f"{web.address}/{web.port}", prompt.path, prompt.body, " ".join(prompt.models))
    program = CHECK_GPU + TRIAL_SCRIPT + SCRIPT.read_text()
    variables = (
        "root=/nowhere httpd=hearth-httpd ollama=hearth-ollama services=httpd conf=- patience=60 prompt_patience=60 "
        "keep=2 by=test"
    )
    directory.chmod(0o755)  # httpd does not run as root
    (directory / "run").write_text(f"{variables}\n{program}\n{DOCKER}\nworks {shlex.join(words)}\n")
    return web.execute(f"bash {TRIAL}/run")


def test_embedding_model_makes_embeddings(serve: Serve, embedding_only: Ollama) -> None:
    web = serve(upstream=embedding_only.address, proxy_extra_routes=EMBED_ROUTE)
    one, same, other = call(
        web.url, "POST", "/api/embed", {"model": EMBEDDING, "input": ["stone", "stone", "wind"]}
    ).json()["embeddings"]
    assert len(one) == EMBEDDING_WIDTH
    assert one == same != other


@pytest.mark.parametrize("models", [BOTH, (*reversed(BOTH),)])
def test_release_is_tested_with_a_chat_model(
    serve: Serve, mixed: Ollama, tmp_path: Path, models: tuple[str, ...]
) -> None:
    web = serve(upstream=mixed.address, volumes={TRIAL: tmp_path}, ollama_models=models)
    done = check_release(web, tmp_path)
    assert (done.code, done.output) == (0, "The page loads, and a test prompt was answered through the proxy.\n")
    wait_until(lambda: '"POST /api/ollama HTTP/1.0" 200' in web.log(), 5)


def test_release_without_a_chat_model_is_tested_with_an_embedding(
    serve: Serve, embedding_only: Ollama, tmp_path: Path
) -> None:
    web = serve(upstream=embedding_only.address, volumes={TRIAL: tmp_path}, ollama_models=[EMBEDDING])
    done = check_release(web, tmp_path)
    assert (done.code, done.output) == (
        0,
        "The page loads, and tinyembed returns embeddings. "
        "No model in ollama_models can chat, so there was no test prompt.\n",
    )


def test_missing_model_fails_the_release_with_ollamas_message(
    serve: Serve, embedding_only: Ollama, tmp_path: Path
) -> None:
    web = serve(upstream=embedding_only.address, volumes={TRIAL: tmp_path}, ollama_models=["tinyllama"])
    done = check_release(web, tmp_path)
    assert done.code == 1
    assert "model 'tinyllama' not found" in done.output


def test_doctor_prompts_a_chat_model(serve: Serve, mixed: Ollama, embedding_only: Ollama) -> None:
    """Although the other is smaller; and a host without one has no finding."""
    assert causes(serve(upstream=mixed.address).url, patience=60) == []
    assert causes(serve(upstream=embedding_only.address).url, patience=60) == []
    web = serve(upstream=embedding_only.address, proxy_extra_routes=EMBED_ROUTE)
    assert causes(web.url, patience=60) == []
    wait_until(lambda: '"POST /api/embed HTTP/1.1" 200' in web.log(), 5)


def test_embedding_models_are_recognized_without_the_show_route(serve: Serve, mixed: Ollama) -> None:
    routes = [
        {"path": "/api/ollama", "to": "/api/generate", "methods": ["POST"]},
        {"path": "/api/tags", "to": "/api/tags", "methods": ["GET"]},
        {"path": "/api/version", "to": "/api/version", "methods": ["GET"]},
    ]
    assert causes(serve(upstream=mixed.address, proxy_routes=routes).url, patience=60) == []


def test_ollama_reports_capabilities_of_models(serve: Serve, mixed: Ollama) -> None:
    """Through the proxy with default routes, even while a response uses the only slot."""
    web = serve(upstream=mixed.address, proxy_max_streams=1, proxy_queue_timeout=1)
    with held(at=web.url):
        for model, can in ((EMBEDDING, ["embedding"]), ("tinyllama", ["completion"])):
            answer = call(web.url, "POST", "/api/show", {"model": model}, timeout=10)
            assert (answer.status, answer.json()["capabilities"]) == (200, can)
    assert call(web.url, "GET", "/api/show").status == 405
    asked = call(web.url, "POST", "/api/chat", {"model": EMBEDDING, "messages": [{"role": "user", "content": "hi"}]})
    assert (asked.status, "does not support chat" in asked.json()["error"]) == (400, True)
