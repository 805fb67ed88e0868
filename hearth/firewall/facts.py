"""The state of the firewall on a host."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from hearth.firewall.rules import SHOW_SOURCES, TABLE, FirewallState, parse_sources
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT
from hearth.runtime.sections import parse_sections
from hearth.runtime.state_fact import StateFact
from hearth.runtime.systemd import parse_service, service_section


class Firewall(StateFact[FirewallState]):
    """Files, service and loaded rules, in one round trip. Only collected if a firewall exists or is configured."""

    @override
    def command(self) -> str:
        return "; ".join(
            [
                "echo @@nft; command -v nft",
                f"echo @@rules; sha256sum {FIREWALL_RULES} 2>/dev/null",
                f"echo @@unit; sha256sum {FIREWALL_UNIT} 2>/dev/null",
                service_section(FIREWALL_SERVICE),
                # The listing of the loaded rules now; then the file that they came from, and its listing at load time.
                f"echo @@now; nft -s list table {TABLE} 2>/dev/null | sha256sum",
                f"echo @@then; cat {FIREWALL_LOADED} 2>/dev/null",
                f"echo @@sources; {SHOW_SOURCES}",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> FirewallState:
        sections = parse_sections(output)

        def digest(name: str, line: int = 0) -> str:
            lines = sections.get(name, [])
            return lines[line].split()[0] if len(lines) > line else ""

        service = parse_service(sections)
        return FirewallState(
            has_nft=bool(sections.get("nft")),
            rules=digest("rules"),
            unit=digest("unit"),
            active=service.active,
            enabled=service.enabled,
            loaded=digest("then"),
            intact=bool(digest("then", 1)) and digest("then", 1) == digest("now"),
            sources=parse_sources(sections.get("sources", [])),
        )
