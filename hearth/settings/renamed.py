"""Former names of settings: rejected in an inventory, translated in the records of hosts and backups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

RENAMED = {
    "docker_pull_stall": "docker_pull_stall_timeout",
    "docker_quiet_wait": "docker_drain_timeout",
    "firewall_allow_from": "firewall_allowed_networks",
    "host_reboot": "host_allow_reboot",
    "ollama_pull_timeout": "ollama_pull_stall_timeout",
    "proxy_allow_from": "proxy_allowed_networks",
    "proxy_people": "proxy_users",
    "proxy_programs": "proxy_api_keys",
    "proxy_queue_wait": "proxy_queue_timeout",
}
# In access policies.
RENAMED_WORDS = {"people": "users", "programs": "api_keys"}
_FORMER_WORD = re.compile(rf"\b({'|'.join(RENAMED_WORDS)})\b")


def with_current_words(policy: str) -> str:
    """Translate an access policy to the current names."""
    return _FORMER_WORD.sub(lambda match: RENAMED_WORDS[match[0]], policy)


def with_current_names(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Translate settings that an earlier version recorded to the current names.

    Args:
        recorded: names to primitives, from a release or a backup.
    """
    settings = {RENAMED.get(name, name): value for name, value in recorded.items()}
    if isinstance(policy := settings.get("proxy_access"), str):
        settings["proxy_access"] = with_current_words(policy)
    for table in ("proxy_routes", "proxy_extra_routes"):
        if isinstance(routes := settings.get(table), list):
            settings[table] = [_route(route) for route in routes]
    return settings


def _route(route: Any) -> Any:
    if isinstance(route, dict) and isinstance(policy := route.get("access"), str):
        return {**route, "access": with_current_words(policy)}
    return route
