"""Providers of language models in the internet: callers use them through the proxy, without their keys. Pure rules."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from hearth.settings.access import check_access_policy
from hearth.settings.secret_source import Source
from hearth.settings.types import check_host_name, is_port

# The protocol, which decides the header of the key, the endpoints, and the form of errors.
Api = Literal["openai", "anthropic"]
# Endpoints below a provider's address, with their method, unless its own "endpoints" replace them.
ENDPOINTS: dict[Api, tuple[str, ...]] = {
    "openai": ("POST /chat/completions", "POST /responses", "POST /embeddings", "GET /models"),
    "anthropic": ("POST /messages", "POST /messages/count_tokens", "GET /models"),
}
# Responses of one provider at the same time. Each holds a thread of httpd, and one that hangs must not use up them all.
PROVIDER_SLOTS = 32
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# What is at these paths already.
_TAKEN = ("api", "v1", "metrics", "hearth-status", "hearth-requests", "hearth-unauthorized")
_URL = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_ENDPOINT = re.compile(r"(?:GET|POST) (?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def _check_url(value: str) -> str:
    url = value.removesuffix("/")
    if url.startswith("http://"):
        raise ValueError('the key would be sent unencrypted; use an "https://" address')
    match = _URL.fullmatch(url)
    try:
        if match is None or not is_port(match["port"] or "443"):
            raise ValueError
        check_host_name(match["host"])
    except ValueError:
        raise ValueError(
            'use the address that a client of this provider uses as its base URL, such as "https://api.openai.com/v1" '
            'or "https://api.anthropic.com/v1"'
        ) from None
    if match["host"].endswith(".local"):
        raise ValueError('containers do not resolve ".local" names; use a name in DNS')
    return url


def _check_endpoint(value: str) -> str:
    if not _ENDPOINT.fullmatch(value):
        raise ValueError('use a method (GET or POST) and a path below the "url", such as "POST /chat/completions"')
    return value


class Provider(BaseModel):
    """One provider. Its routes are `/<name>/v1/…`.

    Attributes:
        url: what the endpoints are below.
        key: source of the API key, which is added on the host and never sent to callers.
        api: the protocol that it speaks.
        endpoints: `METHOD /path` of what callers may use; empty for those of `ENDPOINTS`.
        access: access policy of its routes; "" for that of `proxy_access`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_check_url)]
    key: Source
    api: Api = "openai"
    endpoints: tuple[Annotated[str, AfterValidator(_check_endpoint)], ...] = ()
    access: Annotated[str, AfterValidator(lambda text: check_access_policy(text) if text else text)] = ""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what has its default, as inventories write it."""
        written: dict[str, Any] = handler(self)
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        return {name: value for name, value in written.items() if value and value != defaults[name]}

    @property
    def methods_by_path(self) -> dict[str, tuple[Literal["GET", "POST"], ...]]:
        """Path below the address → methods."""
        found: dict[str, tuple[Literal["GET", "POST"], ...]] = {}
        for endpoint in dict.fromkeys(self.endpoints or ENDPOINTS[self.api]):
            method, _, path = endpoint.partition(" ")
            found[path] = (*found.get(path, ()), "GET" if method == "GET" else "POST")
        return found


def provider_mark(name: str, provider: Provider) -> str:
    """What httpd.conf sets for requests to a provider, and the file of keys compares: a key goes to its own address
    only, also while one of the two files is newer than the other."""
    return f"{name} {provider.url}"


def check_providers(providers: dict[str, Provider]) -> dict[str, Provider]:
    """Return the providers if each has a usable name.

    Raises:
        ValueError: naming the provider, and what to write instead.
    """
    for name in providers:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f'{name!r} becomes the first part of paths; use lower-case letters and digits, as in "openai"'
            )
        if name in _TAKEN:
            raise ValueError(f'/{name} is a path already; use another name for this provider, such as "openai"')
    return providers
