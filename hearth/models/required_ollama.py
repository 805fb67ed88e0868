"""Which release of Ollama a model needs at least, as far as that is known. Pure rules.

The registry answers an older Ollama with 412, "requires a newer version of Ollama": final, and only after the deploy
has begun.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hearth.models.names import name_key
from hearth.models.plan import missing_models

Version = tuple[int, ...]

# The first release whose source supports the model (docs/versions.md). A tag of its own wins over its model.
LEAST = {
    "deepseek-ocr": "0.13.0",
    "embeddinggemma": "0.11.10",
    "gemma3": "0.6.0",
    "gemma3n": "0.9.3",
    "gemma4": "0.20.0",
    "gemma4:12b": "0.30.4",
    "glm-4.7-flash": "0.14.3",
    "gpt-oss": "0.11.0",
    "lfm2.5-thinking": "0.14.3",
    "ministral-3": "0.13.1",
    "qwen3": "0.6.6",
    "qwen3-vl": "0.12.7",
    "qwen3.5": "0.17.1",
}
# Ollama's own image, perhaps from a mirror, by a released version; "-rocm" is the same one for AMD's graphics cards.
_RELEASE = re.compile(r"(?:[^/]+/)?ollama/ollama:([0-9]+(?:\.[0-9]+){2})(?:-rocm)?")


def released_version(image: str) -> Version | None:
    """(0, 32, 15) of `ollama/ollama:0.32.15`; None where the name does not tell: a digest, an image of one's own."""
    match = _RELEASE.fullmatch(image)
    return match and _numbers(match[1])


def needs_newer(model: str, image: str) -> str:
    """The least release that a model of Ollama's library needs, if the image is known to be older; else ""."""
    version = released_version(image)
    key = name_key(model)
    least = LEAST.get(key) or LEAST.get(key.partition(":")[0], "")
    return least if version and least and version < _numbers(least) else ""


def version_obstacles(models: Iterable[str], present: Iterable[str], registry: str, image: str) -> list[str]:
    """A sentence for each model that has to be pulled, and that this Ollama is too old for.

    Args:
        models: as in `ollama_models`.
        present: models that the host has.
        registry: `ollama_model_registry`; what is in a registry of one's own is not known.
        image: `ollama_image`.
    """
    if registry:
        return []
    return [
        f"ollama_models: {model} needs Ollama {least} or later, and ollama_image = {image!r} is older, so the "
        f"library would refuse to serve it; set ollama_image to {least} or a later release, or choose another model"
        for model in missing_models(models, present)
        if (least := needs_newer(model, image))
    ]


def _numbers(version: str) -> Version:
    return tuple(int(part) for part in version.split("."))
