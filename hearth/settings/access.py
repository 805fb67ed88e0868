"""Who may call: words for it in the settings, and what they mean. Pure rules.

`networks` are addresses, `users` sign in with a name and a password, `api_keys` are sent by programs.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hearth.settings.renamed import with_current_words


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        networks: callers from `proxy_allowed_networks`.
        users: those of `proxy_users`, with their passwords.
        api_keys: those of `proxy_api_keys`, with their keys.
        both: a caller needs the network and one of the others; else one of all is enough. None of them is anyone.
    """

    networks: bool = False
    users: bool = False
    api_keys: bool = False
    both: bool = False

    @property
    def anyone(self) -> bool:
        return not (self.networks or self.users or self.api_keys)

    @property
    def signs_in(self) -> bool:
        """Callers may have credentials that are ours."""
        return self.users or self.api_keys

    @property
    def needs_sign_in(self) -> bool:
        """Nobody is let in without credentials."""
        return self.signs_in and (self.both or not self.networks)

    @property
    def without_sign_in(self) -> Access:
        """What is left of it for things that are no secret: the network, where it is required."""
        return Access(networks=self.networks and (self.both or not self.signs_in))


_WORDS = {
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
# The first of those that Docker gives to containers. What it passes on for others comes from an address in there.
_DOCKER = ipaddress.IPv4Network("172.17.0.0/16")
# Docker shows callers over IPv6 to a container as its own gateway, whoever they are.
_IPV6 = (
    "Docker passes callers over IPv6 on under an address of its own, so that httpd can't tell who they are; "
    "list IPv4 networks, and call the host at its IPv4 address"
)


def parse_access(text: str) -> Access:
    """What an `access` in the settings means.

    Raises:
        ValueError: it is none; with the one that was probably meant, or all that there are.
    """
    if found := _WORDS.get(text):
        return found
    words = set(re.findall(r"[a-z_]+", with_current_words(text.lower())))
    close = [right for right in _WORDS if set(re.findall(r"[a-z_]+", right)) == words]
    if words == {"networks", "users", "api_keys", "and", "or"}:
        close.append("networks or users or api_keys")
    right = " or ".join(f'"{one}"' for one in close) or ", ".join(f'"{one}"' for one in _WORDS)
    raise ValueError(f"{right} would be right")


def check_access_policy(text: str) -> str:
    """`text`, if it says who may call.

    Raises:
        ValueError: with what would be right.
    """
    parse_access(text)
    return text


def check_network(text: str) -> str:
    """`text`, if it is an IPv4 network, or a single address, as it is usually written.

    Raises:
        ValueError: with what would be right.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError('a network is "192.168.1.0/24", or a single address "192.168.1.20"') from None
    if network.version == 6:
        raise ValueError(_IPV6)
    if network.prefixlen == 0:
        raise ValueError('that is everybody; "networks" is not needed then')
    if network.prefixlen < 16 and network.overlaps(_DOCKER):
        raise ValueError(f"Docker's own networks are in it, such as {_DOCKER}; list your network alone")
    right = str(network) if network.prefixlen < 32 else str(network.network_address)
    if text != right:
        raise ValueError(f'write "{right}"')
    return text
