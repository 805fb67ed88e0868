"""keepalived's files, how a host differs from them, and where the address can't work. Pure rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from hearth.paths import (
    KEEPALIVED_RECORD,
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.render.templates import FILES, render
from hearth.settings.virtual_address import VirtualRouter

PACKAGE = "keepalived"
# Prints traces of the virtual address on a host, a line each.
VIRTUAL_ADDRESS_TRACES = f"ls {VIRTUAL_ADDRESS_UNIT} {VIRTUAL_ADDRESS_CONF} {KEEPALIVED_RECORD} 2>/dev/null"


@dataclass(frozen=True)
class InterfaceAddress:
    """An IPv4 address of an interface, with its network: `eth0`, `192.168.1.11/24`."""

    interface: str
    address: IPv4Interface


@dataclass(frozen=True)
class VirtualAddressState:
    """keepalived on a host.

    Attributes:
        installed: the package is completely installed.
        active, enabled: of Hearth's service, from systemd.
        files: path → SHA-256 (hex) of the existing ones.
        loaded: SHA-256 of the configuration that runs; "" if none does.
        addresses: of the host.
    """

    installed: bool = False
    active: bool = False
    enabled: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    loaded: str = ""
    addresses: tuple[InterfaceAddress, ...] = ()


def render_files(router: VirtualRouter, place: InterfaceAddress) -> dict[str, str]:
    """The files: absolute path → content.

    Args:
        place: where the host has its own address. The virtual one is added there, in the same network.
    """
    conf = render(
        "virtual-address/keepalived.conf.j2",
        router=router,
        interface=place.interface,
        prefix_length=place.address.network.prefixlen,
        check=VIRTUAL_ADDRESS_CHECK,
    )
    check = (FILES / "virtual-address/responds.bash").read_text(encoding="utf-8")
    unit = (FILES / VIRTUAL_ADDRESS_SERVICE).read_text(encoding="utf-8")
    return {VIRTUAL_ADDRESS_CHECK: check, VIRTUAL_ADDRESS_CONF: conf, VIRTUAL_ADDRESS_UNIT: unit}


def find_place(addresses: Iterable[InterfaceAddress], own: str) -> InterfaceAddress | None:
    """Where a host has its own address; None if it has not."""
    return next((one for one in addresses if one.address.ip == IPv4Address(own)), None)


def find_obstacles(router: VirtualRouter, state: VirtualAddressState) -> list[str]:
    """Why the address can't work on a host: a sentence with the setting to change; empty if it can."""
    setting, virtual = f'host_virtual_address = "{router.address}"', IPv4Address(router.address)
    place = find_place(state.addresses, router.own)
    if place is None:
        known = ", ".join(f"{one.interface}: {one.address.ip}" for one in state.addresses) or "none"
        return [
            f"{setting} is shared by the hosts' own addresses, and this host does not have {router.own} (it has "
            f'{known}); set "host_address" to its IPv4 address in the network of the others'
        ]
    network = place.address.network
    if virtual not in network or virtual in (network.network_address, network.broadcast_address):
        return [
            f"{setting} is not an address of a machine in {network}, the network of this host's own address on "
            f"{place.interface}, so nobody there would find it; use a free one of that network"
        ]
    if VIRTUAL_ADDRESS_UNIT not in state.files and (holder := find_place(state.addresses, router.address)):
        return [
            f"{setting}: this host already has that address on {holder.interface}, and not from Hearth; remove it "
            "there (from the network's configuration, or from a keepalived of your own), or use another one"
        ]
    return []


def digest(text: str) -> str:
    """SHA-256 (hex) of a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def find_differences(state: VirtualAddressState, files: Mapping[str, str]) -> list[str]:
    """Differences from the settings, and how they are fixed, a sentence each; empty if there are none.

    Args:
        files: path → the text that the file should have.
    """
    found = []
    if not state.installed:
        found.append(f"{PACKAGE} is missing, which holds the virtual address; installing it from the distribution")
    if not any(path in state.files for path in files):
        found.append("this host does not share the virtual address yet; adding it")
        return found
    found += [
        f"{path} {'differs' if path in state.files else 'is missing'}; writing it"
        for path, text in files.items()
        if state.files.get(path) != digest(text)
    ]
    if not found and not state.active:
        found.append("the virtual address's service is not running, so this host would not take it over; starting it")
    elif not found and state.loaded != state.files[VIRTUAL_ADDRESS_CONF]:
        found.append("the virtual address's service has not loaded its configuration; reloading it")
    if not found and not state.enabled:
        found.append("the virtual address's service does not start with the host; enabling it")
    return found
