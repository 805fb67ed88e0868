"""What differs and what is done about it, in words. Pure rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hearth.paths import CONTAINERS, DAEMON_JSON
from hearth.stack.containers import Drift

_LONG = 60


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def there(names: Sequence[str]) -> str:
    """`a is not there; it is`, `a and b are not there; they are`: a verb follows."""
    return f"{listed(names)} {'is not there; it is' if len(names) == 1 else 'are not there; they are'}"


def step(old: Any, new: Any) -> str:
    """`900 → 1000`; of lists, what came and what went."""
    if isinstance(old, list) and isinstance(new, list):
        parts = [f"+ {_value(item)}" for item in new if item not in old]
        parts += [f"- {_value(item)}" for item in old if item not in new]
        return ", ".join(parts) or "in another order"
    return f"{_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = value or '""'
    elif isinstance(value, dict) and "path" in value:
        text = str(value["path"])
    else:
        text = repr(value) if isinstance(value, bool | None) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


# --- Containers -----------------------------------------------------------------------------------


def about_containers(drift: Sequence[Drift]) -> list[str]:
    """One sentence for each container: all that is wrong with it, and what is done."""
    by_name: dict[str, list[Drift]] = {}
    for one in drift:
        by_name.setdefault(one.name, []).append(one)
    if len(by_name) > 1 and all(one.what == "is missing" for one in drift):
        return [f"{there(sorted(by_name))} made and started"]
    return [f"{name} {listed(one.what for one in some)}; it is {_deed(some)}" for name, some in by_name.items()]


def _deed(drift: Sequence[Drift]) -> str:
    remedies = {one.remedy for one in drift}
    whats = " / ".join(one.what for one in drift)
    if "remove" in remedies:
        return "removed and made anew" if drift[0].name in CONTAINERS.values() else "removed"
    if "belongs to no service" in whats:
        return "removed"
    if "recreate" in remedies or "another" in whats:
        return "recreated"
    if "is missing" in whats:
        return "made and started"
    return "waited for" if "still starting" in whats else "started"


# --- The engine -----------------------------------------------------------------------------------

_SETTINGS = {
    "live-restore": "docker_live_restore",
    "log-opts.max-size": "docker_log_max_size",
    "log-opts.max-file": "docker_log_max_files",
    "registry-mirrors": "docker_registry_mirrors",
}


def about_packages(missing: Sequence[str], repository: str) -> str:
    """Packages that are to come, and from where."""
    source = f"Docker's own repository, {repository}" if repository else "the distribution"
    return f"{there(missing)} installed from {source}"


def about_service(active: bool, enabled: bool) -> list[str]:
    """What systemd has wrong about an engine that is there."""
    if not active:
        return ["the Docker engine does not run; it is started"]
    return [] if enabled else ["the Docker engine does not start when the host does; it is enabled"]


def about_daemon(current: Mapping[str, Any], merged: Mapping[str, Any], restarts: bool) -> list[str]:
    """What changes in daemon.json, key by key, and what becomes of containers meanwhile.

    Args:
        restarts: the engine is there and takes its configuration over; with nothing changed, from a run that was cut.
    """
    old, new = _flat(current), _flat(merged)
    keys = [key for key in (*old, *(key for key in new if key not in old)) if old.get(key) != new.get(key)]
    if not restarts:
        return [f"{DAEMON_JSON} gets {listed(dict.fromkeys(key.partition('.')[0] for key in keys))}"] if keys else []
    goes_on = merged.get("live-restore") is True
    effect = "the engine restarts, " + (
        "containers go on meanwhile" if goes_on else "and containers with it: running answers end"
    )
    if not keys:
        return [f"a change of {DAEMON_JSON} still waits for the engine; {effect}"]
    steps = [
        f"{key} {_json(old, key)} → {_json(new, key)}{f' ({_SETTINGS[key]})' if key in _SETTINGS else ''}"
        for key in keys
    ]
    return [f"{DAEMON_JSON}: {listed(steps)}; {effect}"]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Objects one level down as `outer.inner`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= {f"{key}.{inner}": item for inner, item in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _json(config: Mapping[str, Any], key: str) -> str:
    """A value as the file has it, strings without their quotes."""
    value = config.get(key)
    return "none" if key not in config else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
