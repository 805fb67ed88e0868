"""Access policies: their notation in the settings, and what they mean. Pure rules.

`networks` are addresses, `users` sign in with a name and a password, `api_keys` are sent by API clients.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hearth.settings.renamed import with_current_words


@dataclass(frozen=True)
class Access:
    """Who is allowed.

    Attributes:
        networks: callers from `proxy_allowed_networks`.
        users: those of `proxy_users`, with their passwords.
        api_keys: those of `proxy_api_keys`, with their keys.
        both: a caller needs the network and a credential; otherwise, any one is enough. None of them means anyone.
    """

    networks: bool = False
    users: bool = False
    api_keys: bool = False
    both: bool = False

    @property
    def anyone(self) -> bool:
        return not (self.networks or self.users or self.api_keys)

    @property
    def accepts_credentials(self) -> bool:
        """Whether Hearth's credentials are accepted."""
        return self.users or self.api_keys

    @property
    def needs_sign_in(self) -> bool:
        """Whether everyone needs credentials."""
        return self.accepts_credentials and (self.both or not self.networks)

    @property
    def without_sign_in(self) -> Access:
        """The policy for what is not secret: only the network, where it is required."""
        return Access(networks=self.networks and (self.both or not self.accepts_credentials))


_POLICIES = {
    "anyone": Access(),
    "networks": Access(networks=True),
    "users": Access(users=True),
    "api_keys": Access(api_keys=True),
    "users or api_keys": Access(users=True, api_keys=True),
    "networks or users": Access(networks=True, users=True),
    "networks or api_keys": Access(networks=True, api_keys=True),
    "networks or users or api_keys": Access(networks=True, users=True, api_keys=True),
    "networks and users": Access(networks=True, users=True, both=True),
    "networks and api_keys": Access(networks=True, api_keys=True, both=True),
    "networks and (users or api_keys)": Access(networks=True, users=True, api_keys=True, both=True),
}
# The first of Docker's default pools. Requests that Docker's userland proxy forwards come from an address in it.
_DOCKER_POOL = ipaddress.IPv4Network("172.17.0.0/16")
# Docker's default pools for its networks that are rarely anything else. The first address of a network is the host's.
_DOCKER_POOLS = ipaddress.IPv4Network("172.16.0.0/12")
# Docker forwards IPv6 callers to a container from its own gateway's address.
_IPV6 = (
    "Docker replaces the addresses of IPv6 callers by its own, so httpd can't identify them; "
    "list IPv4 networks, and use the host's IPv4 address"
)


def parse_access(text: str) -> Access:
    """Parse an access policy.

    Raises:
        ValueError: it is not valid; with the policy that was probably meant, or all of them.
    """
    if found := _POLICIES.get(text):
        return found
    words = set(re.findall(r"[a-z_]+", with_current_words(text.lower())))
    close = [policy for policy in _POLICIES if set(re.findall(r"[a-z_]+", policy)) == words]
    if words == {"networks", "users", "api_keys", "and", "or"}:
        close.append("networks or users or api_keys")
    choices = " or ".join(f'"{one}"' for one in close) or "one of " + ", ".join(f'"{one}"' for one in _POLICIES)
    raise ValueError(f"use {choices}")


def check_access_policy(text: str) -> str:
    """Return `text` if it is a valid access policy.

    Raises:
        ValueError: with what to write instead.
    """
    parse_access(text)
    return text


def check_network(text: str) -> str:
    """Return `text` if it is an IPv4 network or a single address in canonical notation.

    Raises:
        ValueError: with what to write instead.
    """
    network = _parse_network(text, 'a network is "192.168.1.0/24", or a single address "192.168.1.20"')
    if isinstance(network, ipaddress.IPv6Network):
        raise ValueError(_IPV6)
    if network.prefixlen == 0:
        raise ValueError('this includes everybody; leave "networks" out of the access policy')
    if network.prefixlen < 16 and network.overlaps(_DOCKER_POOL):
        raise ValueError(f"it includes Docker's own networks, such as {_DOCKER_POOL}; list only your own network")
    return _check_canonical(text, network)


def _parse_network(text: str, meant: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network or single address.

    Raises:
        ValueError: it is neither; the message is `meant`.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(meant) from None


def _check_canonical(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """Return `text` if it is how Python writes the network: no host bits, and a single address without "/32"."""
    single = network.prefixlen == network.max_prefixlen
    canonical = str(network.network_address) if single else str(network)
    if text != canonical:
        raise ValueError(f'use "{canonical}"')
    return text


def check_trusted_proxy(text: str) -> str:
    """Return `text` if it is the address or network of a proxy that may name its callers.

    Raises:
        ValueError: with what to write instead.
    """
    network = _parse_network(text, 'a proxy is an address, such as "192.168.1.189", or a network of them')
    if network.prefixlen == 0:
        raise ValueError("this trusts everybody, so any caller could claim any address; list only your proxies")
    if isinstance(network, ipaddress.IPv4Network):
        _check_docker_hides_nobody(network)
    elif network.overlaps(ipaddress.IPv6Network("::1")):
        raise ValueError(_LOOPBACK)
    return _check_canonical(text, network)


_LOOPBACK = (
    "httpd runs in a container, where this is only httpd itself; for a tunnel on the host, use the host's network "
    "address here and in the tunnel (docs/remote.md)"
)


def _check_docker_hides_nobody(network: ipaddress.IPv4Network) -> None:
    """Refuse Docker's gateways: callers whose address Docker hides have that address, so they could claim any other."""
    if network.overlaps(ipaddress.IPv4Network("127.0.0.1")):
        raise ValueError(_LOOPBACK)
    if not network.overlaps(_DOCKER_POOLS):
        return
    if network.prefixlen < 32:
        raise ValueError(
            "it includes Docker's own networks, whose gateway is the address of every caller that Docker hides; list "
            "the single address of your proxy's container"
        )
    if int(network.network_address) & 0xFFFF == 1:
        raise ValueError(
            "it is a gateway of Docker, the address of every caller that Docker hides, so any of them could claim any "
            "address; for a tunnel on the host, use the host's network address here and in the tunnel (docs/remote.md)"
        )
