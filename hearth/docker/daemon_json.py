"""The Docker engine's configuration, merged into what a person may have put into `daemon.json`."""

from __future__ import annotations

import json
from typing import Any

from hearth.settings.model import Settings

Config = dict[str, Any]


def wanted_config(settings: Settings, current: Config) -> Config:
    """What the settings ask of an engine that has `current` as its configuration."""
    config: Config = {
        "live-restore": settings.docker_live_restore,
        "log-driver": "json-file",
        "log-opts": {
            "max-size": settings.docker_log_max_size,
            "max-file": str(settings.docker_log_max_files),
        },
    }
    if settings.docker_registry_mirrors:
        config["registry-mirrors"] = list(settings.docker_registry_mirrors)
    if current.get("log-driver", "json-file") not in ("json-file", "local"):
        del config["log-opts"]  # other drivers refuse these options, and the engine would not start
    return config


def parse_config(text: str, path: str) -> Config:
    """The content of a `daemon.json`; an empty or absent file is an empty configuration.

    Raises:
        ValueError: it is no JSON object, so that merging could lose what somebody wrote there.
    """
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} on the host is not JSON ({error}); put it right or remove it, then deploy again"
        ) from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} on the host is no JSON object; put it right or remove it, then deploy again")
    return config


def merge_config(current: Config, recorded: Config, wanted: Config) -> tuple[Config, Config]:
    """Merge three ways: what is there, what Hearth put there last time, what it wants now.

    A value that a person put there stays, also where Hearth wants another. Lists are joined, objects merged
    key by key. What Hearth put there itself is changed, or taken back when it is wanted no more.

    Returns:
        (the merged configuration, the part of it that is Hearth's: the next call's `recorded`).
    """
    merged = dict(current)
    ours: Config = {}
    for key in (*wanted, *(key for key in recorded if key not in wanted)):
        _merge_key(key, merged, ours, recorded, wanted)
    return merged, ours


def _merge_key(key: str, merged: Config, ours: Config, recorded: Config, wanted: Config) -> None:
    here, mine, want = merged.get(key), recorded.get(key), wanted.get(key)
    kind = want if key in wanted else mine
    value: Any
    part: Any
    if isinstance(kind, dict) and isinstance(here, dict | None):
        value, part = merge_config(here or {}, mine if isinstance(mine, dict) else {}, want or {})
    elif isinstance(kind, list) and isinstance(here, list | None):
        others = [item for item in here or [] if item not in (mine or [])]
        part = [item for item in want or [] if item not in others]
        value = [*others, *part]
    elif key in merged and (key not in recorded or here != mine):
        return  # a person's value
    else:
        value = part = want
    if value in (None, {}, []) and key not in wanted:
        merged.pop(key, None)
    else:
        merged[key] = value
    if part not in (None, {}, []):
        ours[key] = part


def dump_config(config: Config) -> str:
    """JSON as a person would write it."""
    return json.dumps(config, indent=2) + "\n"
