"""Models that are kept in memory, in the settings: which are refused, and with which message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hearth.render.compose import render_compose
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings

Make = Callable[..., Settings]
MODELS: dict[str, Any] = {
    "ollama_models": ["llama3.2:1b", "all-minilm"],
    "ollama_model_variants": {"tutor": {"base": "llama3.2:1b"}, "judge": {"base": "qwen3:1.7b"}},
}


def environment(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(render_compose(settings))["services"]["ollama"]["environment"]
    return found


def test_the_health_check_gets_the_names(make_settings: Make) -> None:
    settings = make_settings(**MODELS, ollama_preload=["Tutor", "all-minilm"], ollama_max_loaded_models=2)
    assert environment(settings)["HEARTH_PRELOAD"] == "Tutor all-minilm"
    assert "HEARTH_PRELOAD" not in environment(make_settings(**MODELS))


@pytest.mark.parametrize(
    ("models", "limit", "message"),
    [
        (["llama3.2:3b"], 1, "llama3.2:3b is neither in ollama_models nor in ollama_model_variants; add it there"),
        (["qwen3:1.7b"], 1, "or use one of llama3.2:1b, all-minilm, tutor, judge"),
        (["tutor", "all-minilm"], 1, "lists 2 models, and ollama_max_loaded_models = 1; use 2, or list fewer"),
        (["llama3.2:1b", "tutor"], 2, "llama3.2:1b and tutor have the same weights"),
        (["judge", "judge:latest"], 2, "judge and judge:latest have the same weights"),
        (["no name"], 1, "ollama_preload[0]"),
    ],
)
def test_invalid_lists_are_refused(make_settings: Make, models: list[str], limit: int, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(**MODELS, ollama_preload=models, ollama_max_loaded_models=limit)
    assert message in str(caught.value)
    assert "ollama_preload" in str(caught.value)


def test_two_variants_of_one_file_have_the_same_weights(make_settings: Make) -> None:
    variants = {name: {"base_file": "own.gguf"} for name in ("one", "two")} | {"other": {"base_file": "other.gguf"}}
    settings = make_settings(
        ollama_model_variants=variants, ollama_preload=["one", "other"], ollama_max_loaded_models=2
    )
    assert settings.file_models == ("gguf/one:latest", "gguf/two:latest", "gguf/other:latest")
    with pytest.raises(SettingsError, match="one and two have the same weights"):
        make_settings(ollama_model_variants=variants, ollama_preload=["one", "two"], ollama_max_loaded_models=2)
