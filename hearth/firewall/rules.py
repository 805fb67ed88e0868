"""The firewall: who may reach the ports that Hearth publishes. Pure rules.

A separate table, next to Docker's and all others: a packet passes all of them, and any may reject it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from hearth.paths import BRIDGES, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT, FRONT
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
class Restrictions:
    """Who may reach which port.

    Attributes:
        networks: that may reach the page; none for all.
        pages: ports of the page, on all addresses.
        ollama: (address, port) of Ollama; `0.0.0.0` means all addresses.
        sources: networks that may reach Ollama's port; none for nobody.
        router: the host's part in a virtual address: only its peers may send VRRP for it.
    """

    networks: tuple[str, ...] = ()
    pages: frozenset[int] = frozenset()
    ollama: frozenset[tuple[str, int]] = frozenset()
    sources: tuple[str, ...] = ()
    router: VirtualRouter | None = None

    def with_current(self, published: Mapping[int, bool], sources: Iterable[str]) -> Restrictions:
        """These, and what a deploy has to keep until all hosts have had their turn: the ports that are published until
        then, and the callers of Ollama, since gateways that no longer list it still have responses in progress.

        Args:
            published: port that Hearth's containers publish now → whether it is the page's.
            sources: networks that may reach Ollama's port now.
        """
        known = {port for _, port in self.ollama}
        former = {("0.0.0.0", port) for port, is_page in published.items() if not is_page and port not in known}
        ollama = self.ollama | former
        # A port that is Ollama's before or afterwards is not opened as the page's.
        pages = self.pages.union(port for port, is_page in published.items() if is_page) - {port for _, port in ollama}
        merged = _by_family((*self.sources, *sources))
        is_wider = merged != _by_family(self.sources)
        return replace(self, pages=pages, ollama=ollama, sources=(*merged[0], *merged[1]) if is_wider else self.sources)


@dataclass(frozen=True)
class FirewallState:
    """The state of the firewall on a host.

    Attributes:
        has_nft: nftables is installed.
        rules, unit: SHA-256 (hex) of the two files; "" if missing.
        enabled, active: of the service, from systemd.
        loaded: SHA-256 of the file that the loaded rules came from; "" if none are loaded.
        intact: the rules have not changed since they were loaded.
        sources: networks that may reach Ollama's port, from the file.
    """

    has_nft: bool = False
    rules: str = ""
    unit: str = ""
    enabled: bool = False
    active: bool = False
    loaded: str = ""
    intact: bool = False
    sources: tuple[str, ...] = ()


def render_rules(wanted: Restrictions) -> str:
    """The file that `nft -f` loads, atomically and idempotently."""
    four, six = _by_family(wanted.networks)
    four_ollama, six_ollama = _by_family(wanted.sources)
    return render(
        "firewall.nft.j2",
        bridges=BRIDGES,
        front=FRONT,
        # `parse_sources` reads Ollama's.
        sets={"allowed4": four, "allowed6": six, "allowed4_ollama": four_ollama, "allowed6_ollama": six_ollama},
        is_open=not wanted.networks,
        pages=sorted(wanted.pages),
        ports=[
            *((f"tcp dport {port}", "ask") for port in sorted(wanted.pages)),
            *(_rule(address, port) for address, port in sorted(wanted.ollama)),
        ],
        router=wanted.router,
    )


# Prints the networks that may reach Ollama's port, for `parse_sources`. An earlier Hearth's file names the port.
_SETS = "set allowed[46]_(ollama|[0-9]+) "
SHOW_SOURCES = rf"sed -nE '/{_SETS}/,/}}/s/.*elements = \{{ (.*) \}}/\1/p' {FIREWALL_RULES} 2>/dev/null"


def parse_sources(lines: Iterable[str]) -> tuple[str, ...]:
    """Networks from the output of SHOW_SOURCES."""
    return tuple(network for line in lines for network in line.split(", "))


def _by_family(networks: Iterable[str]) -> tuple[list[str], list[str]]:
    """IPv4 and IPv6 networks, merged."""
    allowed = [ip_network(network) for network in networks]
    four = collapse_addresses(one for one in allowed if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in allowed if isinstance(one, IPv6Network))
    return [str(network) for network in four], [str(network) for network in six]


def _rule(address: str, port: int) -> tuple[str, str]:
    """Match and chain for packets to Ollama's port on the host. Its loopback is never reachable from elsewhere."""
    where = IPv4Address(address)
    match = f"tcp dport {port}" if where.is_unspecified else f"ip daddr {address} tcp dport {port}"
    return match, "refuse" if where.is_loopback else "ask_ollama"


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
