"""The types of the TLS settings: modes, and names in certificates. Pure rules."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from hearth.settings.types import HOST_NAME, is_port

TlsMode = Literal["off", "files", "local-ca", "acme"]

# Names that no public CA certifies (RFC 6761, 6762, 8375, ICANN's .internal), and those that routers use.
PRIVATE_SUFFIXES = ("local", "internal", "home.arpa", "lan", "home", "localhost", "fritz.box", "test")
# Names that httpd serves without configuration.
_SINGLE_OR_LOCAL = re.compile(r"[a-z0-9-]+(?:\.local)?")
_DIRECTORY = re.compile(r"^https://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{1,5}))?/[A-Za-z0-9._~/-]*$")


def _tls_name(value: str) -> str:
    if (address := parse_address(value)) is not None:
        if str(address) != value:
            raise ValueError(f'browsers write it as "{address}"; use that')
        if address.is_unspecified or address.is_multicast:
            raise ValueError("browsers can't open this address; use one that they can")
        return value
    if not HOST_NAME.fullmatch(value) or value.replace(".", "").isdigit():
        raise ValueError('use a name, such as "pi.local", or an address, such as "192.168.1.189"')
    return value


def _directory(value: str) -> str:
    match = _DIRECTORY.fullmatch(value)
    if match is None or not is_port(match["port"] or "443"):
        raise ValueError(
            'a CA\'s directory is an https:// address, such as "https://acme-v02.api.letsencrypt.org/directory"'
        )
    return value


TlsName = Annotated[str, AfterValidator(_tls_name)]
AcmeDirectory = Annotated[str, AfterValidator(_directory)]


def parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address, if a certificate's name is one; None for a DNS name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def host_names(declared: tuple[str, ...], tls_names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that httpd must be configured to serve: the declared ones, and the certificate's where needed."""
    more = (
        name
        for name in tls_names
        if name not in declared and parse_address(name) is None and not _SINGLE_OR_LOCAL.fullmatch(name)
    )
    return (*declared, *dict.fromkeys(more))
