"""Where on a host the virtual address belongs, and where it can't work. Pure rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from hearth.runtime.text import join_words
from hearth.settings.virtual_address import VirtualRouter


@dataclass(frozen=True)
class InterfaceAddress:
    """An IPv4 address of an interface, with its network: `eth0`, `192.168.1.11/24`."""

    interface: str
    address: IPv4Interface


def find_place(addresses: Iterable[InterfaceAddress], own: str) -> InterfaceAddress | None:
    """Where a host has its own address; None if it has not."""
    return next((one for one in addresses if one.address.ip == IPv4Address(own)), None)


def find_absent(router: VirtualRouter, peers: Collection[str], reached: Collection[str]) -> list[str]:
    """A warning, if a run changes which hosts share the address and does not reach all of them.

    Each host listens to those alone that it knows of: one that is left behind takes the address next to another.

    Args:
        peers: the hosts that shared it with this one until now.
        reached: addresses of the hosts that the run changes.
    """
    absent = [one for one in dict.fromkeys([*router.peers, *peers]) if one not in reached]
    if not absent or set(peers) == set(router.peers):
        return []
    return [
        f'host_virtual_address = "{router.address}": this run changes which hosts share it, and does not change '
        f"{join_words(absent)}, so two hosts may have the address at the same time; deploy to all of them in one run "
        "(one that is no longer in the inventory: uninstall Hearth there, or switch it off)"
    ]


def find_obstacles(router: VirtualRouter, addresses: Collection[InterfaceAddress], exists: bool) -> list[str]:
    """Why the address can't work on a host: a sentence with the setting to change; empty if it can.

    Args:
        addresses: of the host.
        exists: Hearth's service exists there.
    """
    setting, virtual = f'host_virtual_address = "{router.address}"', IPv4Address(router.address)
    place = find_place(addresses, router.own)
    if place is None:
        known = ", ".join(f"{one.interface}: {one.address.ip}" for one in addresses) or "none"
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
    if not exists and (holder := find_place(addresses, router.address)):
        return [
            f"{setting}: this host already has that address on {holder.interface}, and not from Hearth; remove it "
            "there (from the network's configuration, or from a keepalived of your own), or use another one"
        ]
    return []
