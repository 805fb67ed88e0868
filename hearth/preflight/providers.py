"""Providers in the internet: whether this host resolves their names, and reaches their ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from typing_extensions import override

from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact
from hearth.settings.model import Settings

# Address → what fails: "name", "port", or "" for nothing.
Reachability = Mapping[str, str]

_CONNECT = 'exec 3<>"/dev/tcp/$0/$1"'
_CHECK = (
    "RES_OPTIONS='timeout:2 attempts:2' timeout 6 getent ahosts \"$0\" >/dev/null || exec echo name; "
    f'timeout 5 bash -c {quote(_CONNECT)} "$0" "$1" 2>/dev/null || echo port'
)


class ProviderReachability(StateFact[dict[str, str]]):
    """Whether a host reaches addresses in the internet; some seconds for each that it does not."""

    @override
    def command(self, addresses: tuple[str, ...]) -> str:
        """`addresses`: each `host:port`."""
        lines = []
        for address in addresses:
            host, _, port = address.rpartition(":")
            lines += [f"echo @@{address}", f"sh -c {quote(_CHECK)} {quote(host, port)}"]
        return "\n".join([*lines, "true"])

    @override
    def process(self, output: Iterable[str]) -> dict[str, str]:
        return {address: "".join(lines).strip() for address, lines in parse_sections(output).items() if address}


def provider_addresses(settings: Settings) -> dict[str, str]:
    """Name of each provider → `host:port`."""
    parts = {name: urlsplit(provider.url) for name, provider in settings.proxy_providers.items()}
    return {name: f"{url.hostname}:{url.port or 443}" for name, url in parts.items()}


def provider_warnings(settings: Settings, found: Reachability) -> list[str]:
    """A sentence for each provider that this host does not reach. The rest of the host works without it."""
    warnings = []
    for name, address in provider_addresses(settings).items():
        host, _, port = address.rpartition(":")
        reason = {
            "name": f"this host can't resolve {host}; check its DNS server, and the address",
            "port": f"this host gets no connection to {host}, port {port}; check its internet access, and firewalls",
        }.get(found.get(address, ""))
        if reason:
            warnings.append(f'proxy_providers["{name}"]: {reason}')
    return warnings
