"""The HTTP proxy through which a host reaches the internet."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import DeployError, deploy

from hearth.outbound import operations
from hearth.outbound.facts import Outbound
from hearth.runtime.fact_snapshot import Query
from hearth.settings.http_proxy import HttpProxy, read_http_proxy
from hearth.settings.model import Settings
from hearth.settings.secret_source import SourceError


def read_proxy(settings: Settings) -> HttpProxy | None:
    """The proxy of `host_http_proxy`, with the password from its source; None for "".

    Raises:
        DeployError: its source can't be read.
    """
    try:
        return read_http_proxy(settings.host_http_proxy)
    except SourceError as error:
        raise DeployError(f"{host.name}: nothing was changed: host_http_proxy: {error}") from None


@deploy("HTTP proxy")
def outbound(settings: Settings, proxy: HttpProxy | None, exists: bool) -> None:
    """Before the first operation that downloads anything.

    Args:
        proxy: as from `read_proxy`.
        exists: preflight found files of a proxy.
    """
    if proxy or exists:
        operations.configure_proxy(name="Configure the HTTP proxy", settings=settings, proxy=proxy)


def outbound_queries(settings: Settings) -> list[Query]:
    """The facts that the operation asks for."""
    return [(Outbound, {})] if settings.host_http_proxy else []
