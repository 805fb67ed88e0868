"""The firewall: who may reach what Hearth publishes. Pure rules.

A table of its own, beside those of Docker and of everybody else: a packet passes all of them, and any may refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from hearth.paths import BRIDGES, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT
from hearth.render.templates import FILES, render

TABLE = "inet hearth"
# Prints what there is of the firewall on a host, a line each.
FIREWALL_TRACES = (
    f"ls {FIREWALL_UNIT} {FIREWALL_RULES} 2>/dev/null; nft list table {TABLE} >/dev/null 2>&1 && echo {TABLE}"
)
UNIT = (FILES / FIREWALL_SERVICE).read_text(encoding="utf-8")


@dataclass(frozen=True)
class FirewallState:
    """What a host has of the firewall.

    Attributes:
        has_nft: nftables is installed.
        rules, unit: SHA-256 (hex) of the two files; "" where there is none.
        enabled, active: of the service, as systemd has it.
        loaded: SHA-256 of the file that the rules in force came from; "" where none are in force.
        intact: they are as they were when they were loaded.
    """

    has_nft: bool = False
    rules: str = ""
    unit: str = ""
    enabled: bool = False
    active: bool = False
    loaded: str = ""
    intact: bool = False


def render_rules(networks: Iterable[str], ports: Iterable[tuple[str, int]]) -> str:
    """The file that `nft -f` loads, in one step and as often as one likes.

    Args:
        networks: those that may; at least one.
        ports: (address, port) that Hearth publishes; `0.0.0.0` stands for all addresses.
    """
    wanted = [ip_network(network) for network in networks]
    four = collapse_addresses(one for one in wanted if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in wanted if isinstance(one, IPv6Network))
    return render(
        "firewall.nft.j2",
        bridges=BRIDGES,
        four=[str(network) for network in four],
        six=[str(network) for network in six],
        ports=[_rule(address, port) for address, port in sorted(ports)],
    )


def _rule(address: str, port: int) -> tuple[str, str]:
    """What a packet to a program on the host matches, and where it goes. Nobody from elsewhere may to its loopback."""
    where = IPv4Address(address)
    match = f"tcp dport {port}" if where.is_unspecified else f"ip daddr {address} tcp dport {port}"
    return match, "refuse" if where.is_loopback else "ask"


def digest(text: str) -> str:
    """SHA-256 (hex) of a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def find_differences(state: FirewallState, rules: str, about: str) -> list[str]:
    """What is not as it should be, and what is done about it, in words; nothing where all is right.

    Args:
        rules: the text that the file should have.
        about: whom they let in, and where to, for a person.
    """
    found = []
    if not state.has_nft:
        found.append("nftables is not there; it is installed from the distribution")
    if not state.rules:
        found.append(f"the firewall is not there; it is put up: {about}")
    elif state.rules != digest(rules):
        found.append(f"the firewall has other rules; they are replaced in one step: {about}")
    elif state.loaded != state.rules or not state.active:
        found.append(f"the firewall's rules are not in force; they are loaded: {about}")
    elif not state.intact:
        found.append("the firewall's rules were changed on the host; they are loaded anew, nothing is cut")
    if state.rules and state.unit != digest(UNIT):
        found.append("the firewall's service is another one; it is replaced")
    elif state.rules and not state.enabled:
        found.append("the firewall does not come up when the host does; it is enabled")
    return found


def lets_in(networks: Iterable[str], client: str) -> bool:
    """Whether one of the networks has this address in it; an address may have its interface after a `%`."""
    address = ip_address(client.partition("%")[0])
    if mapped := getattr(address, "ipv4_mapped", None):
        address = mapped
    return any(address in ip_network(network) for network in networks)


def unused_ports(wanted: Iterable[tuple[str, int]], published: Iterable[int]) -> frozenset[tuple[str, int]]:
    """Ports that Hearth's containers publish at present and will not any more, as ports of all addresses.

    Args:
        wanted: (address, port) that the settings say.
    """
    return frozenset(("0.0.0.0", port) for port in set(published) - {port for _, port in wanted})
