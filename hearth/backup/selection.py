"""What goes into a backup, and how its settings differ from the inventory's. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hearth.backup.manifest import BackupError, check_member
from hearth.footprint.facts import FootprintState
from hearth.footprint.image import Image
from hearth.footprint.owned_files import is_secret, lasting_files
from hearth.paths import DAEMON_RECORD, IMAGES_FOUND, IMAGES_LOCK, ROOT, below_root
from hearth.settings.model_names import is_manifest

# The host's own records. Another host has its own, so these are only for comparison.
RECORDS = frozenset(map(below_root, (IMAGES_LOCK, IMAGES_FOUND, DAEMON_RECORD)))


@dataclass(frozen=True)
class Plan:
    """What to read from a host.

    Attributes:
        files: below `/opt/hearth`.
        store: directory of the models.
        stored: paths below it: manifests, and blobs if requested.
        has_blobs: blobs are included.
        images: reference → the host's image.
        secrets: whether there are any.
    """

    files: tuple[str, ...]
    store: str
    stored: tuple[str, ...]
    has_blobs: bool
    images: dict[str, Image]
    secrets: str


def plan_backup(host: FootprintState, files: frozenset[str], with_models: bool) -> Plan:
    """What goes into a host's backup.

    Args:
        files: paths below `/opt/hearth` that this version of Hearth writes, in addition to its records.

    Raises:
        BackupError: there is nothing to back up, or a file name is not allowed in a backup.
    """
    if "compose.yaml" not in host.files:
        raise BackupError(f"{ROOT}/compose.yaml does not exist: Hearth was not deployed to this host")
    ours = tuple(sorted(lasting_files(host.files, files)))
    stored = tuple(sorted(path for path in host.store_files if is_manifest(path) or (with_models and _is_blob(path))))
    for path in (*ours, *stored):
        check_member(member_name(path))
    return Plan(
        files=ours,
        store=host.store,
        stored=stored,
        has_blobs=with_models,
        images=host.images,
        secrets="not included" if any(is_secret(path) for path in host.files) else "none",
    )


def _is_blob(path: str) -> bool:
    return path.startswith("blobs/sha256-")


def member_name(path: str) -> str:
    """The name in a backup of a path below `/opt/hearth` or below the model store."""
    if path in RECORDS:
        return f"records/{path}"
    return f"models/{path}" if path.startswith(("manifests/", "blobs/")) else f"files/{path}"


def settings_to_use(archived: Mapping[str, Any], inventory: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings that a restore uses: those of the backup, regardless of the inventory.

    Args:
        archived: of the backup.
        inventory: of the host, as primitives; used for settings that are newer than the backup.

    Returns:
        (settings, a line for each that differs from the inventory).
    """
    used, lines = dict(archived), []
    for name, value in inventory.items():
        if name not in archived:
            used[name] = value
            lines.append(f"{name}: the backup is older than this setting; using the inventory's {value!r}")
        elif archived[name] != value:
            lines.append(f"{name}: using the backup's {archived[name]!r}, not the inventory's {value!r}")
    return used, lines
