"""What a restore does, and how its result is compared with the backup. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from hearth.backup.manifest import BackupError, Contents, Manifest
from hearth.footprint.facts import FootprintState
from hearth.paths import CONTAINERS


def image_references(compose: bytes) -> dict[str, str]:
    """Service → image reference, from a backup's `compose.yaml`.

    Raises:
        BackupError: it is not one of Hearth's.
    """
    try:
        document: Any = yaml.safe_load(compose)
        services = document["services"]
        found = {service: str(services[service]["image"]) for service in CONTAINERS if service in services}
        if not found:
            raise KeyError
    except (yaml.YAMLError, KeyError, TypeError):
        raise BackupError("has a compose.yaml without the services ollama and httpd") from None
    return found


def models_to_send(manifest: Contents, host: FootprintState) -> list[str]:
    """Members of models that are missing on the host: first blobs, then manifests."""
    if not manifest.has_blobs:
        return []
    blobs = [
        name
        for name, member in manifest.members.items()
        if name.startswith("models/blobs/") and host.store_files.get(name.removeprefix("models/")) != member.size
    ]
    names = [
        name
        for name, member in manifest.members.items()
        if name.startswith("models/manifests/")
        and host.manifests.get(name.removeprefix("models/manifests/")) != member.sha256
    ]
    return sorted(blobs) + sorted(names)


def find_differences(
    manifest: Manifest, files: Mapping[str, str], present: Mapping[str, str], host: FootprintState
) -> list[str]:
    """Everything that must be identical to the backup, and is not.

    Args:
        files: path below `/opt/hearth` → SHA-256 (hex) in the backup.
        present: the same of the host; "" for a wrong owner or mode.
    """
    differences = [
        f"{path} is {_how(present.get(path))}" for path, digest in files.items() if present.get(path) != digest
    ]
    return differences + [f"{name} is missing or different" for name in models_to_send(manifest, host)]


def _how(digest: str | None) -> str:
    if digest is None:
        return "missing"
    return "different" if digest else "of the wrong owner or mode"


def find_surprises(manifest: Manifest, host: FootprintState) -> list[str]:
    """Unavoidable differences to the time of the backup, one message each."""
    lines = []
    for reference, image in manifest.images.items():
        now = host.images.get(reference)
        if now is not None and now.id != image.id:
            lines.append(
                f"{reference} is not the image of the backup ({now.id[:19]}, not {image.id[:19]}): its tag was moved, "
                "or the machine's architecture differs"
            )
    digests = set(host.manifests.values())
    for model in manifest.models:
        if model.digest not in digests:
            lines.append(
                f"model {model.name} is not the one in the backup: it has changed in the registry, or it is not in "
                "ollama_models and was not pulled"
            )
    return lines
