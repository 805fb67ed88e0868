"""Embedding models return embeddings. On a host without chat models, this replaces the prompt."""

from __future__ import annotations

import docker
import pytest

from hearth.settings.model import Settings
from tests.acceptance.models import request_inside


def test_embedding_model_returns_embeddings(
    engine: docker.DockerClient, settings: Settings, capabilities: dict[str, list[str]]
) -> None:
    model = next((model for model, can in capabilities.items() if "embedding" in can), "")
    if not model:
        pytest.skip("no embedding model is configured")
    body = {"model": model, "input": ["stone", "wind"]}
    stone, wind = request_inside(engine, settings, "/api/embed", body)["embeddings"]
    assert len(stone) == len(wind) > 1
    assert stone != wind
