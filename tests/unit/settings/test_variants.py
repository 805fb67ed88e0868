"""Model variants in the settings: which are refused, and with which message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hearth.settings.load import SettingsError
from hearth.settings.model import Settings

Make = Callable[..., Settings]
BASE = {"base": "llama3.2:1b"}


def test_the_base_is_pulled_and_the_variant_is_offered(make_settings: Make) -> None:
    settings = make_settings(
        ollama_models=["tinyllama"],
        ollama_model_variants={"tutor": BASE, "poet": {"base": "TinyLlama:latest"}, "judge": BASE},
    )
    assert settings.pulled_models == ("tinyllama", "llama3.2:1b")
    assert settings.offered_models == ("tinyllama", "tutor", "poet", "judge")


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"llama3.2:1B": BASE}, "ollama_model_variants['llama3.2:1B']: a model of this name is pulled"),
        ({"one": BASE, "two": {"base": "one"}}, "ollama_model_variants['one']: a model of this name is pulled"),
        ({"one": BASE, "One:latest": BASE}, "are the same name to Ollama; rename one of them"),
        ({"one": {"system": "x"}}, 'use either "base", the name of a model'),
        ({"one": BASE | {"base_file": "x.gguf"}}, 'use either "base", the name of a model'),
        ({"one": {"base_file": " x.gguf"}}, "ollama_model_variants[one][base_file]"),
        ({"gguf/one": {"base": "tinyllama"}, "one": {"base_file": "x.gguf"}}, "a model of this name is pulled"),
        ({"one": BASE | {"prompt": "x"}}, "ollama_model_variants[one][prompt]"),
        ({"one": BASE | {"parameters": {"num_ctxt": 1}}}, 'did you mean "num_ctx"?'),
        ({"one": BASE | {"parameters": {"num_ctx": "4096"}}}, "num_ctx = '4096'; use a value such as 4096"),
        ({"one": BASE | {"parameters": {"num_ctx": 1}}}, "num_ctx = 1; use 256 to 1048576"),
        ({"one": BASE | {"parameters": {"seed": True}}}, "seed = True; use a value such as 4096"),
        ({"one": BASE | {"parameters": {"top_p": float("nan")}}}, "top_p = nan; use a value such as 0.7"),
        ({"one": BASE | {"parameters": {"stop": "User:"}}}, "stop = 'User:'; use a value such as [\"User:\"]"),
        ({"one": BASE | {"parameters": {"stop": [1]}}}, 'use a list of texts, such as ["User:"]'),
        ({"one": BASE | {"system": "ä" * 40000}}, "use a shorter system prompt or template (65536 bytes in all)"),
        ({"one": BASE | {"system": "a\0"}}, "a text can't contain the character NUL"),
    ],
)
def test_invalid_variants_are_refused(make_settings: Make, variants: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(ollama_model_variants=variants)
    assert message in str(caught.value)
    assert "ollama_model_variants" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_pruning_needs_a_model_or_a_variant(make_settings: Make) -> None:
    assert make_settings(ollama_models=[], ollama_model_variants={"one": BASE}, ollama_prune_models=True)
    with pytest.raises(SettingsError, match="would remove every model"):
        make_settings(ollama_models=[], ollama_prune_models=True)
