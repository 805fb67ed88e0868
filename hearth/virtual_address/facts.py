"""The state of the virtual address on a host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface

from typing_extensions import override

from hearth.paths import (
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_LOADED,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.runtime.packages import package_section, parse_package
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.state_fact import StateFact
from hearth.runtime.systemd import parse_service, service_section
from hearth.virtual_address.place import InterfaceAddress
from hearth.virtual_address.rules import PACKAGE, VirtualAddressState

# A line of `ip -o -4 address`. Names with other characters have a meaning in keepalived.conf.
_LINE = re.compile(r"\d+: +(?P<interface>[A-Za-z0-9_.:-]+) +inet (?P<address>[\d.]+/\d+) ")
# Of keepalived.conf, as Hearth writes it.
_PEERS = re.compile(r"unicast_peer \{([\d.\s]*)\}")


class VirtualAddress(StateFact[VirtualAddressState]):
    """Package, files, service and the host's addresses, in one round trip. Only collected if the setting is on."""

    @override
    def command(self) -> str:
        files = f"{VIRTUAL_ADDRESS_CHECK} {VIRTUAL_ADDRESS_CONF} {VIRTUAL_ADDRESS_UNIT}"
        return "; ".join(
            [
                package_section(PACKAGE),
                f"echo @@files; sha256sum {files} 2>/dev/null",
                service_section(VIRTUAL_ADDRESS_SERVICE),
                f"echo @@loaded; cat {VIRTUAL_ADDRESS_LOADED} 2>/dev/null",
                f"echo @@conf; cat {VIRTUAL_ADDRESS_CONF} 2>/dev/null",
                "echo @@addresses; ip -o -4 address 2>/dev/null",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> VirtualAddressState:
        sections = parse_sections(output)
        service = parse_service(sections)
        peers = _PEERS.search("\n".join(sections.get("conf", [])))
        return VirtualAddressState(
            installed=parse_package(sections) == "installed",
            active=service.active,
            enabled=service.enabled,
            files=parse_digests(sections.get("files", [])),
            loaded="".join(sections.get("loaded", [])[:1]).partition(" ")[0],
            peers=tuple(peers[1].split()) if peers else (),
            addresses=tuple(parse_addresses(sections.get("addresses", []))),
        )


def parse_addresses(lines: Iterable[str]) -> Iterator[InterfaceAddress]:
    """Addresses of interfaces to a network, from `ip -o -4 address`. (Those of tunnels have a peer instead.)"""
    for line in lines:
        if match := _LINE.match(line):
            yield InterfaceAddress(match["interface"], IPv4Interface(match["address"]))
