"""Pools: sets of Ollama servers (backends) that a gateway chooses from. Pure rules.

httpd can't read a model's name in a JSON body, so every backend of a pool must have all of the pool's models.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hearth.settings.types import check_host_name, is_loopback, is_port

# The pool of the routes without a pool's name in front.
DEFAULT_POOL = "default"
# A gateway's own Ollama, on the network of the two containers.
OWN_OLLAMA = "http://ollama:11434"
_POOL_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# What is at these paths already.
_TAKEN = ("api", "v1", "metrics", "hearth-status", "hearth-requests", "hearth-backends")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Below it are the names of backends in their certificates, and in their gateways' /etc/hosts: httpd compares a
# certificate with a name only, never with an address.
_TLS_DOMAIN = ".backend.internal"
_TLS_MEMBER = re.compile(rf"https://(?:[0-9]{{1,3}}\.){{4}}{re.escape(_TLS_DOMAIN[1:])}:[0-9]{{1,5}}")
_MEMBER = re.compile(r"http://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
_EXAMPLES = '{"host": "192.168.1.20"} for a host of the inventory, or {"url": "http://192.168.1.30:11434"} for another'


def backend_name(address: str) -> str:
    """The name that a backend with this IPv4 address has in its certificate."""
    return f"{address}{_TLS_DOMAIN}"


def is_backend_name(name: str) -> bool:
    return name.endswith(_TLS_DOMAIN)


def backend_address(name: str) -> str:
    """The IPv4 address in a name of `backend_name`."""
    return name.removesuffix(_TLS_DOMAIN)


def _check_url(value: str) -> str:
    # The latter is what the settings of a release have for a host of the inventory.
    if not value or value == OWN_OLLAMA or _TLS_MEMBER.fullmatch(value):
        return value
    if value.startswith("https://"):
        raise ValueError(
            "TLS leads only to backends of the inventory, whose certificates Hearth issues; add the machine to the "
            'inventory with ollama_publish_tls = True and use {"host": …}, or use "http://192.168.1.30:11434"'
        )
    match = _MEMBER.fullmatch(value.removesuffix("/"))
    try:
        if match is None or not is_port(match["port"] or "11434"):
            raise ValueError
        check_host_name(match["host"])
    except ValueError:
        raise ValueError('use the address of an Ollama, without a path, such as "http://192.168.1.30:11434"') from None
    if match["host"] == "localhost" or is_loopback(match["host"]):
        raise ValueError(
            "httpd runs in a container, where this is only httpd itself; use the machine's address in your network, "
            'such as "http://192.168.1.30:11434"'
        )
    if match["host"].endswith(".local"):
        raise ValueError(
            'containers do not resolve ".local" names; use the IP address, such as "http://192.168.1.30:11434"'
        )
    return f"http://{match['host']}:{match['port'] or 11434}"


class Member(BaseModel):
    """One backend of a pool.

    Attributes:
        host: a host of the inventory; with `url`, only a name for messages, the log and the response header.
        url: of an Ollama that Hearth does not manage. (A host's is filled in when the inventory is read.)
        priority: backends with a higher number are used while all with lower ones are off or full.
        slots: responses that it streams at the same time; 0 for `proxy_max_streams`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = ""
    url: Annotated[str, AfterValidator(_check_url)] = ""
    priority: Annotated[int, Field(ge=1, le=9)] = 1
    slots: Annotated[int, Field(ge=0, le=256)] = 0

    @model_validator(mode="after")
    def _check(self) -> Member:
        if not self.host and not self.url:
            raise ValueError(f"use {_EXAMPLES}")
        if not self.host.isprintable():
            raise ValueError("the name of a host is one word")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what has its default, as inventories write it."""
        written: dict[str, Any] = handler(self)
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        return {name: value for name, value in written.items() if value != defaults[name]}

    @property
    def is_tls(self) -> bool:
        """Whether it is a host of the inventory with `ollama_publish_tls`."""
        return self.url.startswith("https://")

    @property
    def name(self) -> str:
        """For the access log and the response header: letters, digits and . _ - only."""
        name = self.host or self.url.removeprefix("http://").removesuffix(":11434")
        return name if _LABEL.fullmatch(name) else re.sub(r"[^A-Za-z0-9._-]", "_", name)[:64]


def check_pools(pools: dict[str, tuple[Member, ...]]) -> dict[str, tuple[Member, ...]]:
    """Return the pools if each has a usable name and members.

    Raises:
        ValueError: naming the pool, and what to write instead.
    """
    for name, members in pools.items():
        if not _POOL_NAME.fullmatch(name):
            raise ValueError(
                f'{name!r} becomes the first part of paths; use lower-case letters and digits, as in "big"'
            )
        if name in _TAKEN:
            raise ValueError(f'/{name} is a path already; use another name for this pool, such as "big"')
        if not members:
            raise ValueError(f'pool "{name}" has no members; use {_EXAMPLES}')
        seen: set[str] = set()
        for member in members:
            identity = member.url or member.host
            if identity in seen:
                raise ValueError(f'pool "{name}": {identity} is listed twice; keep one entry')
            seen.add(identity)
    return pools
