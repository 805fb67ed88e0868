"""The address that a host shares with others."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address import operations
from hearth.virtual_address.facts import VirtualAddress


@deploy("Virtual address")
def virtual_address(settings: Settings, router: VirtualRouter | None, exists: bool) -> None:
    """Runs after the containers have started.

    Args:
        router: the host's part in its virtual address; None if it has none.
        exists: preflight found traces of one. Nothing else in a deploy changes that.
    """
    if router:
        operations.share_address(name="Share the virtual address", router=router, timeout=settings.docker_apt_timeout)
    elif exists:
        operations.stop_sharing(name="Stop sharing the virtual address", timeout=settings.docker_apt_timeout)


def virtual_address_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `virtual_address` ask for."""
    return [(VirtualAddress, {})] if settings.host_virtual_address else []
