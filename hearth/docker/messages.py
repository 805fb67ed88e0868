"""Explanations: what changes about the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hearth.paths import DAEMON_JSON
from hearth.runtime.text import are_missing, join_words

_SETTINGS = {
    "live-restore": "docker_live_restore",
    "log-opts.max-size": "docker_log_max_size",
    "log-opts.max-file": "docker_log_max_files",
    "features.cdi": "ollama_gpu",
    "registry-mirrors": "docker_registry_mirrors",
}


def describe_packages(missing: Sequence[str], repository: str) -> str:
    """The packages to install, and their source."""
    source = f"Docker's own repository, {repository}" if repository else "the distribution"
    return f"{are_missing(missing, 'installing')} from {source}"


def describe_service(active: bool, enabled: bool) -> list[str]:
    """Drift of the service of an installed engine."""
    if not active:
        return ["the Docker engine is not running; starting it"]
    return [] if enabled else ["the Docker engine is not enabled at boot; enabling it"]


def describe_daemon_config(current: Mapping[str, Any], merged: Mapping[str, Any], restarts: bool) -> list[str]:
    """The changes to daemon.json, key by key, and their effect on containers.

    Args:
        restarts: the engine is installed and restarts; without a change, to complete an interrupted run.
    """
    old, new = _flat(current), _flat(merged)
    keys = [key for key in (*old, *(key for key in new if key not in old)) if old.get(key) != new.get(key)]
    if not restarts:
        return (
            [f"{DAEMON_JSON} gets {join_words(dict.fromkeys(key.partition('.')[0] for key in keys))}"] if keys else []
        )
    survive = merged.get("live-restore") is True
    effect = "the engine restarts, " + (
        "containers keep running" if survive else "and the containers with it: in-flight responses are cut"
    )
    if not keys:
        return [f"a change of the engine's configuration is not active yet; {effect}"]
    steps = [
        f"{key} {_json(old, key)} → {_json(new, key)}{f' ({_SETTINGS[key]})' if key in _SETTINGS else ''}"
        for key in keys
    ]
    return [f"{DAEMON_JSON}: {join_words(steps)}; {effect}"]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects as `outer.inner`, one level deep."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= {f"{key}.{inner}": item for inner, item in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _json(config: Mapping[str, Any], key: str) -> str:
    """A value as in the file, strings without quotes."""
    value = config.get(key)
    return "none" if key not in config else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
