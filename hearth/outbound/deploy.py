"""How a host reaches the internet: its HTTP proxy, and the CAs that it trusts in addition."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import DeployError, deploy

from hearth.outbound import operations
from hearth.outbound.facts import Outbound, Trust
from hearth.outbound.trusted_ca import read_trusted_ca
from hearth.runtime.fact_snapshot import Query
from hearth.settings.http_proxy import HttpProxy, read_http_proxy
from hearth.settings.model import Settings
from hearth.settings.secret_source import SourceError
from hearth.tls.certificate import CertificateError


def read_proxy(settings: Settings) -> HttpProxy | None:
    """The proxy of `host_http_proxy`, with the password from its source; None for "".

    Raises:
        DeployError: its source can't be read.
    """
    try:
        return read_http_proxy(settings.host_http_proxy)
    except SourceError as error:
        raise DeployError(f"{host.name}: nothing was changed: host_http_proxy: {error}") from None


def read_authorities(settings: Settings) -> tuple[bytes, ...]:
    """The certificates of `host_trusted_ca`, each as PEM.

    Raises:
        DeployError: the file can't be read, or has other content.
    """
    try:
        return read_trusted_ca(settings)
    except CertificateError as error:
        raise DeployError(f"{host.name}: nothing was changed: {error}") from None


@deploy("Network")
def outbound(settings: Settings, proxy: HttpProxy | None, authorities: tuple[bytes, ...], exists: bool) -> None:
    """Before the first operation that downloads anything.

    Args:
        proxy: as from `read_proxy`.
        authorities: as from `read_authorities`.
        exists: preflight found files of a proxy, or of such CAs.
    """
    if authorities or exists:
        operations.trust_authorities(
            name="Trust additional CAs", authorities=authorities, timeout=settings.docker_apt_timeout
        )
    if proxy or exists:
        operations.configure_proxy(name="Configure the HTTP proxy", settings=settings, proxy=proxy)


def outbound_queries(settings: Settings) -> list[Query]:
    """The facts that the operations ask for."""
    return [
        *([(Outbound, {})] if settings.host_http_proxy or settings.host_trusted_ca else []),
        *([(Trust, {})] if settings.host_trusted_ca else []),
    ]
