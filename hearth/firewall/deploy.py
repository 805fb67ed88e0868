"""Restrict who may reach the ports that Hearth publishes."""

from __future__ import annotations

from collections.abc import Collection

from pyinfra import host, logger
from pyinfra.api import deploy

from hearth.firewall import operations
from hearth.firewall.facts import Firewall
from hearth.firewall.rules import allows, unused_ports
from hearth.host.login import Login
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter


@deploy("Firewall")
def firewall(
    settings: Settings, exists: bool, published: Collection[int] = (), router: VirtualRouter | None = None
) -> None:
    """Runs before any port is published.

    Args:
        exists: preflight found traces of the firewall. Nothing else in a deploy changes that.
        published: ports that Hearth's containers publish now. They stay restricted until they are released.
        router: the host's part in a virtual address.
    """
    _warn_about_lockout(settings)
    if settings.needs_firewall:
        operations.apply_firewall(
            name="Restrict Hearth's ports",
            networks=settings.firewall_allowed_networks,
            ports=settings.published_ports | unused_ports(settings.published_ports, published),
            timeout=settings.docker_apt_timeout,
            sources=settings.port_sources,
            router=router,
        )
    elif exists:
        operations.remove_firewall(name="Remove the firewall")


@deploy("Firewall")
def release_unused_ports(settings: Settings, published: Collection[int], router: VirtualRouter | None = None) -> None:
    """Stop restricting ports that are no longer Hearth's, at the end of a deploy."""
    if settings.needs_firewall and unused_ports(settings.published_ports, published):
        operations.apply_firewall(
            name="Release unused ports",
            networks=settings.firewall_allowed_networks,
            ports=settings.published_ports,
            timeout=settings.docker_apt_timeout,
            sources=settings.port_sources,
            router=router,
        )


def _warn_about_lockout(settings: Settings) -> None:
    """Note that the firewall will block the computer that deploys."""
    networks = settings.firewall_allowed_networks
    if networks and settings.serves_page and (client := host.get_fact(Login).client) and not allows(networks, client):
        logger.info(
            f"{host.print_prefix}this computer's address is {client}, which is not in firewall_allowed_networks: "
            "ssh and deploys keep working, but the chat page will not open from here"
        )


def firewall_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `firewall` ask for."""
    return [(Firewall, {})] if settings.needs_firewall else []
