"""Model names, as used by Ollama and its registries."""

from __future__ import annotations

import re
from collections.abc import Iterable

_REGISTRY = "registry.ollama.ai"
_LIBRARY = "library"
# Prints the manifests in the current directory, a path each: registry/owner/name/tag. Other files may be below it, too
# (.DS_Store, copies).
FIND_MANIFESTS = "find . -mindepth 4 -maxdepth 4 -type f ! -name '.*' ! -name '* *' -printf '%P\\n'"
_MANIFEST = re.compile(r"manifests(?:/[^/. ][^/ ]*){4}")


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
    parts, tag = path.split("/")[:-1], path.rpartition("/")[2]
    for default in (_REGISTRY, _LIBRARY):
        if parts[0] != default:
            break
        parts = parts[1:]
    return f"{'/'.join(parts)}:{tag}"


def is_manifest(path: str) -> bool:
    """Whether a path below Ollama's store is that of a manifest, as FIND_MANIFESTS decides."""
    return bool(_MANIFEST.fullmatch(path))


def manifest_path(model: str) -> str:
    """Path of a model's manifest below `manifests/` in Ollama's store; the reverse of `name_from_manifest`."""
    name, _, tag = full_name(model).rpartition(":")
    parts = name.split("/")
    defaults = {1: [_REGISTRY, _LIBRARY], 2: [_REGISTRY]}
    return "/".join([*defaults.get(len(parts), []), *parts, tag])


def source_name(model: str, registry: str) -> str:
    """The name to pull a model by: with a private registry, `http://10.0.0.1:5000/library/tinyllama`.

    A name that has a registry of its own (`hf.co/someone/model`) is pulled from there.
    """
    if not registry or has_registry(model):
        return model
    return f"{registry}/{model if '/' in model else f'{_LIBRARY}/{model}'}"


def has_registry(model: str) -> bool:
    """Whether a model's name starts with that of its registry: only a name of three parts does."""
    return model.count("/") == 2


def manifest_url(model: str, registry: str) -> str:
    """URL of the model's manifest in the registry: `https://registry.ollama.ai/v2/library/llama3.2/manifests/1b`."""
    name, _, tag = full_name(model).rpartition(":")
    parts = name.split("/")
    if has_registry(model):
        server = f"https://{model.partition('/')[0]}"
        parts = parts[1:] if len(parts) == 3 else parts
    else:
        server = registry or f"https://{_REGISTRY}"
    repository = "/".join(parts if len(parts) > 1 else [_LIBRARY, *parts])
    return f"{server}/v2/{repository}/manifests/{tag}"


def missing_models(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """The wanted models that are not present, each once, in order."""
    keys = {name_key(name) for name in present}
    missing = []
    for model in wanted:
        if name_key(model) not in keys:
            missing.append(model)
            keys.add(name_key(model))
    return missing
