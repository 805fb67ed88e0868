"""The host's name on its network."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.mdns import operations
from hearth.mdns.facts import LocalName
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


@deploy("Local name")
def local_name(settings: Settings, exists: bool) -> None:
    """Args:
    exists: preflight found that Hearth installed Avahi. Nothing else in a deploy changes that.
    """
    if settings.host_local_name:
        operations.announce_name(name="Announce the host's name", timeout=settings.docker_apt_timeout)
    elif exists:
        operations.stop_announcing(name="Stop announcing the host's name", timeout=settings.docker_apt_timeout)


def local_name_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `local_name` ask for."""
    return [(LocalName, {})] if settings.host_local_name else []
