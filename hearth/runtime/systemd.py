"""State of a systemd service: the section of a fact's command, and how it is read."""

from __future__ import annotations

from typing import NamedTuple

from hearth.runtime.sections import Sections


class ServiceState(NamedTuple):
    """Of one service; both are false if it does not exist."""

    active: bool
    enabled: bool


def service_section(unit: str) -> str:
    """Shell that prints the section `@@service`."""
    return f"echo @@service; systemctl is-active {unit}; systemctl is-enabled {unit} 2>/dev/null"


def parse_service(sections: Sections) -> ServiceState:
    """The state from the section `@@service`."""
    lines = sections.get("service", [])
    return ServiceState(active="active" in lines, enabled="enabled" in lines)
