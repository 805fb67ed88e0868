"""What goes into a backup, and how the settings in one differ from others. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hearth.backup.manifest import BackupError, check_member
from hearth.footprint.facts import FootprintState
from hearth.footprint.image import Image
from hearth.footprint.owned_files import is_secret, lasting_files
from hearth.paths import DAEMON_RECORD, IMAGES_FOUND, IMAGES_LOCK, ROOT

# What the host writes down of itself: another host writes its own, so these are kept to compare with.
RECORDS = frozenset(path.removeprefix(f"{ROOT}/") for path in (IMAGES_LOCK, IMAGES_FOUND, DAEMON_RECORD))


@dataclass(frozen=True)
class Plan:
    """What is read from a host.

    Attributes:
        files: below `/opt/hearth`.
        store: directory of the models.
        stored: below it: manifests, and blobs if they were asked for.
        has_blobs: they were.
        images: reference → what the host has.
        secrets: what becomes of them.
    """

    files: tuple[str, ...]
    store: str
    stored: tuple[str, ...]
    has_blobs: bool
    images: dict[str, Image]
    secrets: str


def plan_backup(host: FootprintState, files: frozenset[str], with_models: bool) -> Plan:
    """What of a host goes into its backup.

    Args:
        files: paths below `/opt/hearth` that this version of Hearth puts there, beside its records.

    Raises:
        BackupError: there is nothing to back up, or a file has a name that no backup can have.
    """
    if "compose.yaml" not in host.files:
        raise BackupError(f"there is no {ROOT}/compose.yaml: Hearth was not deployed to this host")
    ours = tuple(sorted(lasting_files(host.files, files)))
    stored = tuple(
        sorted(path for path in host.store_files if path.startswith("manifests/") or (with_models and _is_blob(path)))
    )
    for path in (*ours, *stored):
        check_member(member_name(path))
    return Plan(
        files=ours,
        store=host.store,
        stored=stored,
        has_blobs=with_models,
        images=host.images,
        secrets="left out" if any(is_secret(path) for path in host.files) else "there are none",
    )


def _is_blob(path: str) -> bool:
    return path.startswith("blobs/sha256-")


def member_name(path: str) -> str:
    """The name in a backup of a path below `/opt/hearth`, or below the store of models."""
    if path in RECORDS:
        return f"records/{path}"
    return f"models/{path}" if path.startswith(("manifests/", "blobs/")) else f"files/{path}"


def settings_to_use(archived: Mapping[str, Any], inventory: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings that a restore uses: those of the backup, whatever the inventory says.

    Args:
        archived: of the backup.
        inventory: of the host, as primitives: what came into Hearth after the backup is taken from there.

    Returns:
        (settings, a line for each that the inventory has otherwise).
    """
    used, lines = dict(archived), []
    for name, value in inventory.items():
        if name not in archived:
            used[name] = value
            lines.append(f"{name}: the backup is older than this setting; {value!r} is used, as the inventory has it")
        elif archived[name] != value:
            lines.append(f"{name}: the backup's {archived[name]!r} is used; the inventory has {value!r}")
    return used, lines
