"""Embedding models return embeddings. On a host without chat models, this replaces the prompt."""

from __future__ import annotations

import docker
import pytest

from tests.acceptance.models import request_inside


def test_embedding_model_returns_embeddings(engine: docker.DockerClient, capabilities: dict[str, list[str]]) -> None:
    model = next((model for model, can in capabilities.items() if "embedding" in can), "")
    if not model:
        pytest.skip("ollama_models has no embedding model")
    stone, wind = request_inside(engine, "/api/embed", {"model": model, "input": ["stone", "wind"]})["embeddings"]
    assert len(stone) == len(wind) > 1
    assert stone != wind
