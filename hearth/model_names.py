"""Names of models, as Ollama writes them."""

from __future__ import annotations


def full_name(model: str) -> str:
    """A model's name as Ollama lists it: with its tag."""
    model = model.removeprefix("library/")
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def name_from_manifest(path: str) -> str:
    """A model's full name from its manifest's path below `manifests/` in Ollama's store.

    `registry.ollama.ai/library/llama3.2/1b` → `llama3.2:1b`; `registry.ollama.ai/someone/model/tag` →
    `someone/model:tag`; `hf.co/someone/model/tag` → `hf.co/someone/model:tag`.
    """
    *place, name, tag = path.split("/")
    shown = [part for part in place if part not in ("registry.ollama.ai", "library")]
    return f"{'/'.join([*shown, name])}:{tag}"
