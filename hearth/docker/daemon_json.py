"""The Docker engine's configuration, merged with the user's own `daemon.json`."""

from __future__ import annotations

import json
from typing import Any

from hearth.settings.model import Settings

Config = dict[str, Any]


def wanted_config(settings: Settings, current: Config) -> Config:
    """The configuration required by the settings, for an engine with the configuration `current`."""
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
    if settings.ollama_gpu == "nvidia":
        config["features"] = {"cdi": True}  # the default of Docker 28.3 and later
    if current.get("log-driver", "json-file") not in ("json-file", "local"):
        del config["log-opts"]  # other drivers reject these options, and the engine would not start
    return config


def parse_config(text: str, path: str) -> Config:
    """The content of a `daemon.json`; an empty or absent file is an empty configuration.

    Raises:
        ValueError: it is not a JSON object, so merging could lose the user's content.
    """
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} on the host is not JSON ({error}); fix or remove it, then deploy again") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} on the host is not a JSON object; fix or remove it, then deploy again")
    return config


def merge_config(current: Config, recorded: Config, wanted: Config) -> tuple[Config, Config]:
    """Three-way merge: the current file, Hearth's last part of it, and the desired part.

    A user's value stays, even if Hearth requires another one. Lists are joined, objects merged key by key. Hearth's own
    values are changed, or removed if no longer required.

    Returns:
        (the merged configuration, Hearth's part of it: the next call's `recorded`).
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
        return  # the user's value
    else:
        value = part = want
    if value in (None, {}, []) and key not in wanted:
        merged.pop(key, None)
    else:
        merged[key] = value
    if part not in (None, {}, []):
        ours[key] = part


def dump_config(config: Config) -> str:
    """JSON, formatted for reading."""
    return json.dumps(config, indent=2) + "\n"
