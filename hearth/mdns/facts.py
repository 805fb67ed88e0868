"""What announces a host's name on its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

from hearth.paths import LOCAL_NAME_RECORD
from hearth.runtime.packages import package_section, parse_package
from hearth.runtime.sections import parse_sections
from hearth.runtime.state_fact import StateFact
from hearth.runtime.systemd import parse_service, service_section

PACKAGE = "avahi-daemon"


@dataclass(frozen=True)
class LocalNameState:
    """Avahi on a host.

    Attributes:
        name: the host's name, without a domain.
        installed: the package is completely installed.
        active, enabled: of its service, from systemd.
        recorded: Hearth installed it, or began to.
    """

    name: str = ""
    installed: bool = False
    active: bool = False
    enabled: bool = False
    recorded: bool = False


class LocalName(StateFact[LocalNameState]):
    """Avahi's package and service, in one round trip. Only collected if the setting is on."""

    @override
    def command(self) -> str:
        return "; ".join(
            [
                "echo @@name; uname -n",
                package_section(PACKAGE),
                service_section(PACKAGE),
                f"echo @@recorded; ls {LOCAL_NAME_RECORD} 2>/dev/null",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> LocalNameState:
        sections = parse_sections(output)
        service = parse_service(sections)
        return LocalNameState(
            name=next(iter(sections.get("name", [])), "").partition(".")[0],
            installed=parse_package(sections) == "installed",
            active=service.active,
            enabled=service.enabled,
            recorded=bool(sections.get("recorded")),
        )
