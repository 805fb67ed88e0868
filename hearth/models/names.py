"""Names of models, as Ollama and its registries write them."""

from __future__ import annotations

_REGISTRY = "registry.ollama.ai"
_LIBRARY = "library"


def full_name(model: str) -> str:
    """A model's name as Ollama lists it: with its tag, without the registry and library that are understood."""
    model = model.removeprefix(f"{_REGISTRY}/").removeprefix(f"{_LIBRARY}/")
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def name_key(model: str) -> str:
    """The same for two names exactly when Ollama takes them for the same model: it does not look at case."""
    return full_name(model).casefold()


def name_from_manifest(path: str) -> str:
    """A model's full name from its manifest's path below `manifests/` in Ollama's store.

    `registry.ollama.ai/library/llama3.2/1b` → `llama3.2:1b`; `registry.ollama.ai/someone/model/tag` →
    `someone/model:tag`; `hf.co/someone/model/tag` → `hf.co/someone/model:tag`.
    """
    *place, name, tag = path.split("/")
    shown = [part for part in place if part not in (_REGISTRY, _LIBRARY)]
    return f"{'/'.join([*shown, name])}:{tag}"


def source_name(model: str, registry: str) -> str:
    """The name to pull a model by: with a registry of one's own, `http://10.0.0.1:5000/library/tinyllama`."""
    return f"{registry}/{model if '/' in model else f'{_LIBRARY}/{model}'}" if registry else model


def manifest_url(model: str, registry: str) -> str:
    """Where the registry has the model's manifest: `https://registry.ollama.ai/v2/library/llama3.2/manifests/1b`."""
    name, _, tag = full_name(model).rpartition(":")
    parts = name.split("/")
    server = registry or f"https://{parts[0] if len(parts) == 3 else _REGISTRY}"
    if not registry and len(parts) == 3:
        parts = parts[1:]
    repository = "/".join(parts if len(parts) > 1 else [_LIBRARY, *parts])
    return f"{server}/v2/{repository}/manifests/{tag}"
