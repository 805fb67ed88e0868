"""Which hosts are gateways of which, and in which order they are changed. Pure rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hearth.settings.model import Settings

# The settings of every host of the inventory, by name.
House = Mapping[str, Settings]


def gateways_of(backend: str, house: House) -> tuple[str, ...]:
    """The hosts that list a host in their pools; a host with its own Ollama in its pools is one of them."""
    return tuple(
        name
        for name, settings in house.items()
        if any(member.host == backend for members in settings.ollama_pools.values() for member in members)
    )


def is_replaceable(backend: str, house: House) -> bool:
    """Whether every pool with a host has another backend, too, so that its gateways can leave it out for a while."""
    pools = [
        members
        for settings in house.values()
        for members in settings.ollama_pools.values()
        if any(member.host == backend for member in members)
    ]
    return bool(pools) and all(len(members) > 1 for members in pools)


def name_and_url(backend: str, gateway: Settings) -> tuple[str, str]:
    """A backend's name and URL in httpd.conf of a gateway that lists it."""
    return next(
        (member.name, member.url)
        for members in gateway.ollama_pools.values()
        for member in members
        if member.host == backend
    )


def plan_turns(house: House, hosts: Collection[str]) -> list[list[str]]:
    """Groups of hosts, in the order in which they are changed. Those of one group change together.

    Backends come before gateways, one by one: a gateway's new configuration may list a backend or a pool that is new,
    and if a backend fails, the gateway goes on as before. Hosts that have nothing to do with pools come first,
    together.

    Args:
        hosts: names of those to deploy to, in the inventory's order.
    """
    backends = [name for name in hosts if not house[name].ollama_pools and gateways_of(name, house)]
    gateways = [name for name in hosts if house[name].ollama_pools]
    others = [name for name in hosts if name not in backends and name not in gateways]
    return [*([others] if others else []), *([name] for name in (*backends, *gateways))]
