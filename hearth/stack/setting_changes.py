"""Which setting changes which files and containers. Pure rules: they render settings and query no host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from hearth.render.stack_files import render_tree
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings

COMPOSE = "compose.yaml"
# Path relative to `/opt/hearth` → content.
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Change:
    """Settings that differ from those recorded on the host, and the effect.

    Attributes:
        settings: name → (old value, new value), as primitives. Several only if they have an effect together.
        files: changed paths, relative to `/opt/hearth`.
        services: services whose definition in compose.yaml changes.
    """

    settings: dict[str, tuple[Any, Any]]
    files: frozenset[str]
    services: frozenset[str]


def find_changes(recorded: Mapping[str, Any], settings: Settings, wanted: Files) -> list[Change]:
    """The effect of each setting that differs from the recorded ones, in the order of the settings.

    Args:
        recorded: settings of the accepted release; names from other versions are ignored.
        wanted: the files, rendered from `settings`.
    """
    present = settings.model_dump(mode="json")
    differing = {
        name: (recorded[name], value) for name, value in present.items() if name in recorded and recorded[name] != value
    }
    changes = []
    for name, (old, new) in differing.items():
        pair = _with_and_without(present, recorded, name, old, new, wanted)
        if pair and (change := _compare({name: (old, new)}, *pair)).files:
            changes.append(change)
    known = frozenset(path for change in changes for path in change.files)
    before = _render(present | {name: old for name, (old, _) in differing.items()}) if differing else None
    if before and (rest := _compare(differing, before, wanted)).files - known:
        changes.append(Change(differing, rest.files - known, rest.services))
    return changes


def _with_and_without(
    present: Mapping[str, Any], recorded: Mapping[str, Any], name: str, old: Any, new: Any, wanted: Files
) -> tuple[Files, Files] | None:
    """The files before and after changing only this setting; None if it can't be changed alone."""
    if before := _render({**present, name: old}):
        return before, wanted
    then = {key: recorded.get(key, value) for key, value in present.items()}
    before, after = _render(then), _render({**then, name: new})
    return (before, after) if before and after else None


def _render(data: Mapping[str, Any]) -> Files | None:
    try:
        return render_tree(load_settings(data))
    except SettingsError:  # a combination that is refused, or a value that this version no longer accepts
        return None


def _compare(settings: dict[str, tuple[Any, Any]], before: Files, after: Files) -> Change:
    files = frozenset(path for path in after if before.get(path) != after[path])
    services = services_between(before[COMPOSE], after[COMPOSE]) if COMPOSE in files else frozenset()
    return Change(settings, files, services)


def services_between(before: bytes, after: bytes) -> frozenset[str]:
    """Services that two Compose files define differently; comments and the order of keys are ignored."""
    old, new = (yaml.safe_load(text).get("services", {}) for text in (before, after))
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def digests(files: Files) -> dict[str, str]:
    """SHA-256 (hex) of each file."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
