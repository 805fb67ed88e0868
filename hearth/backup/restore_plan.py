"""What a restore does, and how what came of it is compared with the backup. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from hearth.backup.manifest import BackupError, Manifest
from hearth.footprint.facts import FootprintState
from hearth.paths import CONTAINERS


def image_references(compose: bytes) -> dict[str, str]:
    """Service → image reference, of a backup's `compose.yaml`.

    Raises:
        BackupError: it is not one of Hearth's.
    """
    try:
        document: Any = yaml.safe_load(compose)
        return {service: str(document["services"][service]["image"]) for service in CONTAINERS}
    except (yaml.YAMLError, KeyError, TypeError):
        raise BackupError("has a compose.yaml without the services ollama and httpd") from None


def models_to_send(manifest: Manifest, host: FootprintState) -> list[str]:
    """Members of models that the host does not have: data first, then the names that make models of it."""
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
    manifest: Manifest, files: Mapping[str, str], there: Mapping[str, str], host: FootprintState
) -> list[str]:
    """Everything that should be byte for byte as in the backup, and is not.

    Args:
        files: path below `/opt/hearth` → SHA-256 (hex) in the backup.
        there: the same of the host; "" where owner or mode are wrong.
    """
    wrong = [f"{path} is {_how(there.get(path))}" for path, digest in files.items() if there.get(path) != digest]
    return wrong + [f"{name} is missing or another one" for name in models_to_send(manifest, host)]


def _how(digest: str | None) -> str:
    if digest is None:
        return "missing"
    return "another one" if digest else "not readable for all, or not root's"


def find_surprises(manifest: Manifest, host: FootprintState) -> list[str]:
    """What is not the same as when the backup was made, and could not be promised, a sentence each."""
    lines = []
    for reference, image in manifest.images.items():
        now = host.images.get(reference)
        if now is not None and now.id != image.id:
            lines.append(
                f"{reference} is another image than in the backup ({now.id[:19]}, not {image.id[:19]}): its name leads "
                "elsewhere by now, or the machine is of another kind"
            )
    digests = set(host.manifests.values())
    for model in manifest.models:
        if model.digest not in digests:
            lines.append(
                f"model {model.name} is not the one in the backup: it was pulled anew and has changed, or it is not in "
                "ollama_models and was not pulled"
            )
    return lines
