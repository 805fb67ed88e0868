"""Restrict who may reach the ports that Hearth publishes."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host, logger
from pyinfra.api import deploy

from hearth.firewall import operations
from hearth.firewall.facts import Firewall
from hearth.firewall.rules import Restrictions, allows, render_rules
from hearth.host.login import Login
from hearth.runtime.fact_snapshot import Query, current_fact
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter


@deploy("Firewall")
def firewall(settings: Settings, published: Mapping[int, bool], router: VirtualRouter | None = None) -> None:
    """Restrict who may reach Hearth's ports, those that it still publishes included. Runs on all hosts at once, before
    any port is published.

    Args:
        published: port that Hearth's containers publish now → whether it is the page's.
        router: the host's part in a virtual address.
    """
    _warn_about_lockout(settings)
    if settings.needs_firewall:
        operations.apply_firewall(
            name="Restrict Hearth's ports",
            wanted=_wanted(settings, router).with_current(published, current_fact(Firewall).sources),
            timeout=settings.docker_apt_timeout,
        )


@deploy("Firewall")
def narrow_firewall(
    settings: Settings, exists: bool, published: Mapping[int, bool], router: VirtualRouter | None = None
) -> None:
    """End what was kept for the deploy. Runs on all hosts at once, after their turns.

    Args:
        exists: preflight found traces of the firewall. Nothing else in a deploy changes that.
    """
    wanted = _wanted(settings, router)
    if settings.needs_firewall:
        kept = wanted.with_current(published, current_fact(Firewall).sources)
        if render_rules(kept) != render_rules(wanted):
            operations.apply_firewall(name="Narrow the firewall", wanted=wanted, timeout=settings.docker_apt_timeout)
    elif exists:
        # Not before: until its turn, the host may publish an Ollama that only the firewall protects.
        operations.remove_firewall(name="Remove the firewall")


def _wanted(settings: Settings, router: VirtualRouter | None) -> Restrictions:
    return Restrictions(
        networks=settings.firewall_allowed_networks,
        pages=settings.page_ports,
        ollama=settings.ollama_ports,
        sources=settings.ollama_sources,
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
