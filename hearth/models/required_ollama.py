"""The minimum Ollama release for a model, as far as known. Pure rules.

For an older Ollama the registry responds with 412, "requires a newer version of Ollama": final, and only after the
deploy has started.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hearth.settings.model_names import missing_models, name_key

Version = tuple[int, ...]

# The first release whose source supports the model (docs/versions.md). An entry for a tag takes precedence over its
# model.
MINIMUM_RELEASES = {
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
# Ollama's own image with a release version, possibly from a mirror; "-rocm" is the variant for AMD graphics cards.
_RELEASE = re.compile(r"(?:[^/]+/)?ollama/ollama:([0-9]+(?:\.[0-9]+){2})(?:-rocm)?")


def released_version(image: str) -> Version | None:
    """(0, 32, 15) of `ollama/ollama:0.32.15`; None if the name does not tell: a digest, a custom image."""
    match = _RELEASE.fullmatch(image)
    return match and _numbers(match[1])


def needs_newer(model: str, image: str) -> str:
    """The minimum release for a model of Ollama's library, if the image is known to be older; else ""."""
    version = released_version(image)
    key = name_key(model)
    least = MINIMUM_RELEASES.get(key) or MINIMUM_RELEASES.get(key.partition(":")[0], "")
    return least if version and least and version < _numbers(least) else ""


def version_obstacles(models: Iterable[str], present: Iterable[str], registry: str, image: str) -> list[str]:
    """A message for each model to be pulled for which this Ollama is too old.

    Args:
        models: as in `ollama_models`.
        present: models that the host has.
        registry: `ollama_model_registry`; the content of a private registry is unknown.
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
