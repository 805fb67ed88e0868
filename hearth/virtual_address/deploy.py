"""The address that a host shares with others."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.runtime.fact_snapshot import Query, current_fact
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address import operations
from hearth.virtual_address.facts import VirtualAddress


@deploy("Virtual address")
def agree_on_virtual_address(settings: Settings, router: VirtualRouter | None, exists: bool) -> None:
    """Let hosts that share an address stop, or learn which others do now.

    Runs on all hosts at once, before the firewall and before any host's turn. Hosts listen to those alone that they
    know of, so one that still shares the address when others no longer listen to it, or begins to before they do, has
    it in addition to one of them.

    Args:
        router: the host's part in its virtual address; None if it has none.
        exists: preflight found traces of one. Nothing else in a deploy changes that.
    """
    if not exists:
        return
    if router is None:
        operations.stop_sharing(name="Stop sharing the virtual address", timeout=settings.docker_apt_timeout)
    elif current_fact(VirtualAddress).exists:
        operations.share_address(name="Share the virtual address", router=router, timeout=settings.docker_apt_timeout)


@deploy("Virtual address")
def virtual_address(settings: Settings, router: VirtualRouter | None) -> None:
    """Begin to share the address. Runs after the containers have started."""
    if router and not current_fact(VirtualAddress).exists:
        operations.share_address(name="Share the virtual address", router=router, timeout=settings.docker_apt_timeout)


def virtual_address_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `virtual_address` ask for."""
    return [(VirtualAddress, {})] if settings.host_virtual_address else []
