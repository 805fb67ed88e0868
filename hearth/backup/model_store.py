"""Ollama's model store: manifests by name, data (blobs) by digest. Pure rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from hearth.backup.manifest import Model
from hearth.settings.model_names import name_from_manifest


def blobs_of(manifest: bytes) -> dict[str, int]:
    """The blobs of a model (`sha256-…`, the file name), with their sizes in bytes.

    Raises:
        ValueError: it is not a manifest.
    """
    try:
        document = json.loads(manifest)
        parts = [document["config"], *document["layers"]]
        return {part["digest"].replace(":", "-"): int(part["size"]) for part in parts}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a model manifest: {error!r}") from None


def list_models(manifests: Mapping[str, bytes]) -> tuple[Model, ...]:
    """The models of a store.

    Args:
        manifests: path below `manifests/` → content.

    Raises:
        ValueError: one is not a manifest.
    """
    return tuple(
        Model(
            name=name_from_manifest(path),
            digest=hashlib.sha256(content).hexdigest(),
            size=sum(blobs_of(content).values()),
        )
        for path, content in sorted(manifests.items())
    )


def missing_blobs(manifests: Mapping[str, bytes], blobs: Mapping[str, int]) -> dict[str, list[str]]:
    """Model → those of its blobs that are not in `blobs` (name → bytes). Complete models are omitted."""
    lacking = {
        name_from_manifest(path): [name for name, size in blobs_of(content).items() if blobs.get(name) != size]
        for path, content in manifests.items()
    }
    return {name: names for name, names in lacking.items() if names}
