"""The address to diagnose."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORT = 85
_SCHEMES = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """Scheme, host name or address (without brackets), and port."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """The `Host` header: without the scheme's default port, and without an IPv6 zone."""
        host = self.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _SCHEMES[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def is_name(self) -> bool:
        """The host is a name, not an address."""
        return parse_ip(self.host) is None

    def at(self, port: int, scheme: str = "") -> Target:
        """The same host at another port."""
        return Target(scheme or self.scheme, self.host, port)


def parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The host as an IP address, or None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def parse_target(text: str) -> Target:
    """Parse an address with or without a scheme, with or without a path (which is ignored).

    Raises:
        ValueError: it is invalid; the message includes a valid example.
    """
    example = f"http://pi.local:{DEFAULT_PORT}"
    given = text.strip()
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is not a valid address; use one such as {example!r}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{text!r}: use an http:// or https:// address, such as {example!r}")
    if parts.username is not None:
        raise ValueError(f"{text!r}: omit the user name, as in {example!r}")
    host = parts.hostname or ""
    if not host or any(character.isspace() for character in host):
        raise ValueError(f"{text!r} is not a valid address; use one such as {example!r}")
    if port == 0:
        raise ValueError(f"{text!r}: 0 is not a valid port; use an address such as {example!r}")
    return Target(parts.scheme, host, port or _SCHEMES[parts.scheme])
