"""Model names, as used by Ollama and its registries."""

from __future__ import annotations

_REGISTRY = "registry.ollama.ai"
_LIBRARY = "library"


def full_name(model: str) -> str:
    """A model's name as listed by Ollama: with its tag, without the default registry and library."""
    model = model.removeprefix(f"{_REGISTRY}/").removeprefix(f"{_LIBRARY}/")
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def name_key(model: str) -> str:
    """Equal for two names exactly if Ollama treats them as the same model: it ignores case."""
    return full_name(model).casefold()


def name_from_manifest(path: str) -> str:
    """A model's full name from its manifest's path below `manifests/` in Ollama's store.

    `registry.ollama.ai/library/llama3.2/1b` → `llama3.2:1b`; `registry.ollama.ai/someone/model/tag` →
    `someone/model:tag`; `hf.co/someone/model/tag` → `hf.co/someone/model:tag`.
    """
    *directories, name, tag = path.split("/")
    shown = [part for part in directories if part not in (_REGISTRY, _LIBRARY)]
    return f"{'/'.join([*shown, name])}:{tag}"


def manifest_path(model: str) -> str:
    """Path of a model's manifest below `manifests/` in Ollama's store; the reverse of `name_from_manifest`."""
    name, _, tag = full_name(model).rpartition(":")
    parts = name.split("/")
    defaults = {1: [_REGISTRY, _LIBRARY], 2: [_REGISTRY]}
    return "/".join([*defaults.get(len(parts), []), *parts, tag])


def source_name(model: str, registry: str) -> str:
    """The name to pull a model by: with a private registry, `http://10.0.0.1:5000/library/tinyllama`."""
    return f"{registry}/{model if '/' in model else f'{_LIBRARY}/{model}'}" if registry else model


def manifest_url(model: str, registry: str) -> str:
    """URL of the model's manifest in the registry: `https://registry.ollama.ai/v2/library/llama3.2/manifests/1b`."""
    name, _, tag = full_name(model).rpartition(":")
    parts = name.split("/")
    server = registry or f"https://{parts[0] if len(parts) == 3 else _REGISTRY}"
    if not registry and len(parts) == 3:
        parts = parts[1:]
    repository = "/".join(parts if len(parts) > 1 else [_LIBRARY, *parts])
    return f"{server}/v2/{repository}/manifests/{tag}"
