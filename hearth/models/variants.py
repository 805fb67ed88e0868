"""Models that are created from others (`ollama_model_variants`): how they differ from the settings. Pure rules.

A model is a manifest with digests of files: the weights, and small ones with the system prompt, the template and the
parameters. A variant has its base model's files, except for the small ones that the settings replace. So the digests
show every difference, also one that `ollama create` made on the host, and that the base model was pulled again
(docs/decisions/0043).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hearth.settings.model_names import full_name, name_key
from hearth.settings.variant import Variant

_KIND = "application/vnd.ollama.image."
_LABELS = {"system": "system prompt", "template": "template", "params": "parameters"}
_REPLACED = frozenset(_LABELS)
MISSING = ["it is missing"]


def create_request(name: str, variant: Variant, adapter: str = "") -> str:
    """The body of Ollama's `POST /api/create` for a variant.

    Args:
        adapter: digest of its adapter's file, or "".
    """
    body: dict[str, Any] = {"model": full_name(name), "from": variant.base_model(name), "stream": False}
    if adapter:
        body["adapters"] = {"adapter.gguf": adapter}
    if variant.system:
        body["system"] = variant.system
    if variant.template:
        body["template"] = variant.template
    if variant.parameters:
        body["parameters"] = variant.parameters
    return json.dumps(body, ensure_ascii=False)


def file_request(model: str, digest: str) -> str:
    """The body of `POST /api/create` for a model from a GGUF file, which is in the store already."""
    return json.dumps({"model": full_name(model), "files": {"model.gguf": digest}, "stream": False})


def has_file(model: str, digest: str, manifests: Mapping[str, str]) -> bool:
    """Whether a model exists that was made from the GGUF file with this digest."""
    texts = {name_key(name): text for name, text in manifests.items()}
    try:
        return _of(_layers(texts[name_key(model)]), "model") == {digest}
    except (KeyError, ValueError):
        return False


def variant_differences(
    name: str, variant: Variant, manifests: Mapping[str, str], files: Mapping[str, bytes], adapter: str = ""
) -> list[str]:
    """What differs from the settings: `["its system prompt", …]`, `["it is missing"]`; empty if nothing does.

    Args:
        manifests: full name → text of a manifest, of the variant and of its base model.
        files: digest (`sha256:…`) → content, of the small files in these manifests.
        adapter: digest of its adapter's file, or "".
    """
    texts = {name_key(model): text for model, text in manifests.items()}
    if name_key(name) not in texts:
        return MISSING
    base_model = variant.base_model(name)
    try:
        own, base = _layers(texts[name_key(name)]), _layers(texts[name_key(base_model)])
    except KeyError:
        return [f"its base model {base_model} is missing"]
    except ValueError:
        return ["its manifest is damaged"]
    for kind, digest in own:
        # After a power loss a file may be empty. Larger files are not read; a pull has verified them.
        if kind in _REPLACED and _digest(files.get(digest, b"")) != digest:
            return [f"its {_LABELS[kind]}, whose file is damaged"]
    differences = []
    for kind, text in (("system", variant.system), ("template", variant.template)):
        if _of(own, kind) != ({_digest(text.encode())} if text else _of(base, kind)):
            differences.append(f"its {_LABELS[kind]}")
    if _parameters(own, files) != _parameters(base, files) | _primitives(variant.parameters):
        differences.append("its parameters")
    lasting, wanted = ({layer for layer in layers if layer[0] not in _REPLACED} for layers in (own, base))
    if adapter:
        wanted.add(("adapter", adapter))
    if {layer for layer in lasting ^ wanted if layer[0] != "adapter"}:
        differences.append(f"its files, which are not those of {base_model}")
    elif lasting != wanted:
        differences.append("its adapter")
    return differences


def damaged_files(name: str, base: str, manifests: Mapping[str, str], files: Mapping[str, bytes]) -> list[str]:
    """Digests of the variant's own small files that do not match their content. Ollama keeps an existing file."""
    texts = {name_key(model): text for model, text in manifests.items()}
    try:
        own, others = _layers(texts[name_key(name)]), _layers(texts[name_key(base)])
    except (KeyError, ValueError):
        return []
    return [
        digest
        for kind, digest in own
        if kind in _REPLACED and (kind, digest) not in others and _digest(files.get(digest, b"")) != digest
    ]


def _layers(manifest: str) -> list[tuple[str, str]]:
    """(kind, digest) of each file in a manifest.

    Raises:
        ValueError: it is not a model's manifest.
    """
    try:
        document = json.loads(manifest)
        layers = [(str(one["mediaType"]).removeprefix(_KIND), str(one["digest"])) for one in document["layers"]]
    except (KeyError, TypeError):
        raise ValueError("not a model's manifest") from None
    if not layers:
        raise ValueError("a manifest without files")
    return layers


def _of(layers: list[tuple[str, str]], kind: str) -> set[str]:
    return {digest for one, digest in layers if one == kind}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _parameters(layers: list[tuple[str, str]], files: Mapping[str, bytes]) -> dict[str, Any]:
    """The parameters of a model; a file that can't be read makes them differ from all others."""
    merged: dict[str, Any] = {}
    for digest in _of(layers, "params"):
        try:
            merged |= json.loads(files[digest])
        except (KeyError, TypeError, ValueError):
            merged |= {"": digest}
    return merged


def _primitives(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from JSON: a tuple is a list."""
    primitives: dict[str, Any] = json.loads(json.dumps(dict(parameters)))
    return primitives
