"""The host's name on its network."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.mdns import operations
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
