"""A virtual address that several hosts share: what each needs to know of the others, and mistakes between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from hearth.settings.model import Settings

_HIGHEST_PRIORITY = 200


@dataclass(frozen=True)
class VirtualRouter:
    """A host's part in a virtual address, in the terms of VRRP (RFC 5798).

    Attributes:
        address: the virtual address.
        own: the host's own address.
        peers: those of the other hosts that share it.
        id: the same number on all of them, 1 to 255.
        priority: 1 to 254; the highest one takes the address if several could.
    """

    address: str
    own: str
    peers: tuple[str, ...]
    id: int
    priority: int


def virtual_router(name: str, house: Mapping[str, Settings]) -> VirtualRouter | None:
    """A host's part in its virtual address; None if it has none.

    Args:
        house: the settings of all hosts of the inventory, as `resolve_house` returns them.
    """
    settings = house[name]
    if not settings.host_virtual_address:
        return None
    sharing = _sharing(house)[settings.host_virtual_address]
    return VirtualRouter(
        address=settings.host_virtual_address,
        own=settings.host_address,
        peers=tuple(house[other].host_address for other in sharing if other != name),
        id=int(IPv4Address(settings.host_virtual_address)) % 255 + 1,
        priority=max(1, _HIGHEST_PRIORITY - sharing.index(name)),
    )


def _sharing(house: Mapping[str, Settings]) -> dict[str, list[str]]:
    """Virtual address → the hosts that share it, in the order of the inventory."""
    found: dict[str, list[str]] = {}
    for name, settings in house.items():
        if settings.host_virtual_address:
            found.setdefault(settings.host_virtual_address, []).append(name)
    return found


def learned_settings(settings: Settings, address: str) -> dict[str, object]:
    """What a host with a virtual address learns: its own address, which the others need, and a name for its
    certificate.

    Args:
        address: of the host; "" if unknown.
    """
    virtual = settings.host_virtual_address
    if not virtual:
        return {}
    learned: dict[str, object] = {"host_address": address}
    if settings.proxy_tls == "local-ca" and virtual not in settings.proxy_tls_names:
        learned["proxy_tls_names"] = (*settings.proxy_tls_names, virtual)
    return learned


def check_virtual_addresses(house: Mapping[str, Settings], addresses: Mapping[str, str]) -> Iterator[str]:
    """Mistakes, a sentence each with host, setting and what to write.

    Args:
        addresses: host → its own address, "" if unknown.
    """
    for virtual, names in _sharing(house).items():
        setting = f'host_virtual_address = "{virtual}"'
        first = names[0]
        if owner := next((name for name, address in addresses.items() if address == virtual), ""):
            yield (
                f"{first}: {setting} is the own address of {owner}; use a free address of your network, which no "
                "machine has and your router gives to none"
            )
        if len(names) == 1:
            yield (
                f"{first}: {setting}, and no other host could take it over; give it to a second host with the chat "
                'page (host_role = "both" or "gateway"), or use ""'
            )
        for name in names:
            if house[name].proxy_tls == "acme":
                yield (
                    f'{name}: {setting} and proxy_tls = "acme": a CA validates a name by connecting to it, and reaches '
                    "only the host that has the address, so the others would get no certificate; use "
                    '"local-ca" or "files"'
                )
            if not addresses[name]:
                yield (
                    f"{name}: {setting} needs the host's own address, and the inventory addresses the host by a name; "
                    'add "host_address": "192.168.1.20" (its IPv4 address)'
                )
        for name in names[1:]:
            for one, other in zip(_doors(house[first]), _doors(house[name]), strict=False):
                if one != other:
                    yield (
                        f"{first} and {name} share {setting}, but have {one} and {other}; use the same on both, since "
                        "the address leads to either of them"
                    )
                    break


def _doors(settings: Settings) -> list[str]:
    """The settings that decide at which URL the page is."""
    doors = [f"proxy_port = {settings.proxy_port}", f'proxy_tls = "{settings.proxy_tls}"']
    if settings.proxy_tls != "off":
        doors.append(f"proxy_tls_port = {settings.proxy_tls_port}")
    return doors
