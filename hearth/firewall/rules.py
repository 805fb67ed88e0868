"""The firewall: who may reach the ports that Hearth publishes. Pure rules.

A separate table, next to Docker's and all others: a packet passes all of them, and any may reject it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from hearth.paths import BRIDGES, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT
from hearth.render.templates import FILES, render
from hearth.runtime.written_files import digest
from hearth.settings.virtual_address import VirtualRouter

TABLE = "inet hearth"
# Prints traces of the firewall on a host, a line each.
FIREWALL_TRACES = (
    f"ls {FIREWALL_UNIT} {FIREWALL_RULES} 2>/dev/null; nft list table {TABLE} >/dev/null 2>&1 && echo {TABLE}"
)
UNIT = (FILES / FIREWALL_SERVICE).read_text(encoding="utf-8")


@dataclass(frozen=True)
class FirewallState:
    """The state of the firewall on a host.

    Attributes:
        has_nft: nftables is installed.
        rules, unit: SHA-256 (hex) of the two files; "" if missing.
        enabled, active: of the service, from systemd.
        loaded: SHA-256 of the file that the loaded rules came from; "" if none are loaded.
        intact: the rules have not changed since they were loaded.
    """

    has_nft: bool = False
    rules: str = ""
    unit: str = ""
    enabled: bool = False
    active: bool = False
    loaded: str = ""
    intact: bool = False


def render_rules(
    networks: Iterable[str],
    ports: Iterable[tuple[str, int]],
    sources: Mapping[int, Iterable[str]] | None = None,
    router: VirtualRouter | None = None,
) -> str:
    """The file that `nft -f` loads, atomically and idempotently.

    Args:
        networks: allowed networks; none for all, for ports without sources of their own.
        ports: (address, port) that Hearth publishes; `0.0.0.0` means all addresses.
        sources: port → networks that may reach it, instead of the others.
        router: the host's part in a virtual address: only its peers may send VRRP for it.
    """
    own = {str(port): _by_family(allowed) for port, allowed in sorted((sources or {}).items())}
    four, six = _by_family(networks)
    return render(
        "firewall.nft.j2",
        bridges=BRIDGES,
        four=four,
        six=six,
        own=own,
        router=router,
        ports=[
            _rule(address, port, str(port) in own) for address, port in sorted(ports) if four or six or str(port) in own
        ],
    )


def _by_family(networks: Iterable[str]) -> tuple[list[str], list[str]]:
    """IPv4 and IPv6 networks, merged."""
    allowed = [ip_network(network) for network in networks]
    four = collapse_addresses(one for one in allowed if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in allowed if isinstance(one, IPv6Network))
    return [str(network) for network in four], [str(network) for network in six]


def _rule(address: str, port: int, has_own: bool) -> tuple[str, str]:
    """Match and chain for packets to a program on the host. Its loopback is never reachable from elsewhere."""
    where = IPv4Address(address)
    match = f"tcp dport {port}" if where.is_unspecified else f"ip daddr {address} tcp dport {port}"
    return match, "refuse" if where.is_loopback else f"ask_{port}" if has_own else "ask"


def find_differences(state: FirewallState, rules: str, about: str) -> list[str]:
    """Differences from the settings, and how they are fixed, a sentence each; empty if there are none.

    Args:
        rules: the text that the file should have.
        about: description of the rules.
    """
    found = []
    if not state.has_nft:
        found.append("nftables is missing; installing it from the distribution")
    if not state.rules:
        found.append(f"the firewall is missing; adding it: {about}")
    elif state.rules != digest(rules):
        found.append(f"the firewall's rules differ; replacing them atomically: {about}")
    elif state.loaded != state.rules or not state.active:
        found.append(f"the firewall's rules are not loaded; loading them: {about}")
    elif not state.intact:
        found.append("the firewall's rules were changed on the host; reloading them, nothing is cut")
    if state.rules and state.unit != digest(UNIT):
        found.append("the firewall's service differs; replacing it")
    elif state.rules and not state.enabled:
        found.append("the firewall does not start with the host; enabling it")
    return found


def allows(networks: Iterable[str], client: str) -> bool:
    """Whether one of the networks contains the address, which may have its interface after a `%`."""
    address = ip_address(client.partition("%")[0])
    if mapped := getattr(address, "ipv4_mapped", None):
        address = mapped
    return any(address in ip_network(network) for network in networks)


def unused_ports(configured: Iterable[tuple[str, int]], published: Iterable[int]) -> frozenset[tuple[str, int]]:
    """Ports that Hearth's containers publish now but not after this deploy, as ports of all addresses.

    Args:
        configured: (address, port) in the settings.
    """
    return frozenset(("0.0.0.0", port) for port in set(published) - {port for _, port in configured})
