"""Who may reach what Hearth publishes."""

from __future__ import annotations

from collections.abc import Collection

from pyinfra import host, logger
from pyinfra.api import deploy

from hearth.firewall import operations
from hearth.firewall.rules import lets_in, unused_ports
from hearth.host.login import Login
from hearth.settings.model import Settings


@deploy("Firewall")
def firewall(settings: Settings, is_there: bool, published: Collection[int] = ()) -> None:
    """Before anything is published.

    Args:
        is_there: the host had something of it when it was looked at. Nothing else of a deploy changes that.
        published: ports that Hearth's containers have at present. They stay limited until they are given up.
    """
    _warn_about_lockout(settings)
    if networks := settings.firewall_allowed_networks:
        operations.apply_firewall(
            name="Limit who may reach Hearth's ports",
            networks=networks,
            ports=settings.published_ports | unused_ports(settings.published_ports, published),
            timeout=settings.docker_apt_timeout,
        )
    elif is_there:
        operations.remove_firewall(name="Take the firewall away")


@deploy("Firewall")
def release_unused_ports(settings: Settings, published: Collection[int]) -> None:
    """At the end of a deploy that gave up a port: it is no longer Hearth's to limit."""
    if settings.firewall_allowed_networks and unused_ports(settings.published_ports, published):
        operations.apply_firewall(
            name="Let go of ports that Hearth gave up",
            networks=settings.firewall_allowed_networks,
            ports=settings.published_ports,
            timeout=settings.docker_apt_timeout,
        )


def _warn_about_lockout(settings: Settings) -> None:
    """Say so where the firewall is not going to let in the computer that deploys."""
    networks = settings.firewall_allowed_networks
    if networks and (client := host.get_fact(Login).client) and not lets_in(networks, client):
        logger.info(
            f"{host.print_prefix}this computer comes to the host as {client}, which is not in firewall_allowed_networks"
            ": ssh and deploys go on, but the chat page will not open from here"
        )
