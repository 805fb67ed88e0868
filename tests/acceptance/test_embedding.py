"""Models for embeddings make them. On a host that has no others, this is the word that is asked of it."""

from __future__ import annotations

import docker
import pytest

from tests.acceptance.models import ask_inside


def test_embedding_model_returns_embeddings(engine: docker.DockerClient, able: dict[str, list[str]]) -> None:
    model = next((model for model, can in able.items() if "embedding" in can), "")
    if not model:
        pytest.skip("none of ollama_models is for embeddings")
    stone, wind = ask_inside(engine, "/api/embed", {"model": model, "input": ["stone", "wind"]})["embeddings"]
    assert len(stone) == len(wind) > 1
    assert stone != wind
