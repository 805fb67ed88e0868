"""The settings of TLS: names in certificates, and what each mode asks for. Pure rules."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from hearth.settings.types import HOST_NAME, is_port

TlsMode = Literal["off", "files", "local-ca", "acme"]

# Names that no public authority vouches for (RFC 6761, 6762, 8375, and ICANN's .internal), with what routers use.
PRIVATE_SUFFIXES = ("local", "internal", "home.arpa", "lan", "home", "localhost", "fritz.box", "test")
# What httpd answers to without being told.
_SINGLE_OR_LOCAL = re.compile(r"[a-z0-9-]+(?:\.local)?")
_DIRECTORY = re.compile(r"^https://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{1,5}))?/[A-Za-z0-9._~/-]*$")


def _tls_name(value: str) -> str:
    if (address := parse_address(value)) is not None:
        if str(address) != value:
            raise ValueError(f'written as browsers do, it is "{address}"')
        if address.is_unspecified or address.is_multicast:
            raise ValueError("nobody can open that address")
        return value
    if not HOST_NAME.fullmatch(value) or value.replace(".", "").isdigit():
        raise ValueError('a name such as "pi.local" or an address such as "192.168.1.189" would be right')
    return value


def _directory(value: str) -> str:
    match = _DIRECTORY.fullmatch(value)
    if match is None or not is_port(match["port"] or "443"):
        raise ValueError(
            'an authority\'s directory is an https:// address, such as "https://acme-v02.api.letsencrypt.org/directory"'
        )
    return value


TlsName = Annotated[str, AfterValidator(_tls_name)]
AcmeDirectory = Annotated[str, AfterValidator(_directory)]


def parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a name of a certificate is; None if it is a name indeed."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def host_names(declared: tuple[str, ...], tls_names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that httpd must be told to answer to: the declared ones, and those of the certificate that need it."""
    more = (
        name
        for name in tls_names
        if name not in declared and parse_address(name) is None and not _SINGLE_OR_LOCAL.fullmatch(name)
    )
    return (*declared, *dict.fromkeys(more))
