"""The HTTP proxy through which a host reaches the internet: its address, with or without a user and a password."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote, unquote_to_bytes

from pydantic import BeforeValidator, PlainSerializer, SecretStr, ValidationError

from hearth.settings.secret_source import Source, SourceError, read_secret
from hearth.settings.types import HOST_NAME, is_port

_EXAMPLE = "http://proxy.example.org:3128"
_URL = re.compile(r"http://(?:(?P<user>[^\s:@/?#]+):(?P<password>[^\s:@/?#]+)@)?(?P<host>[^\s:@/?#]+):(?P<port>\d+)/?")


@dataclass(frozen=True)
class HttpProxy:
    """A proxy.

    Attributes:
        host, port: of its address.
        user: "" if it needs no login.
        password: never shown.
    """

    host: str
    port: int
    user: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))

    @property
    def address(self) -> str:
        """Its URL without user and password, for messages and files that everybody may read."""
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> SecretStr:
        """Its URL with user and password, encoded so that no shell and no file format finds a special character."""
        if not self.user:
            return SecretStr(self.address)
        login = f"{quote(self.user, safe='')}:{quote(self.password.get_secret_value(), safe='')}"
        return SecretStr(f"http://{login}@{self.host}:{self.port}")

    @property
    def authorization(self) -> SecretStr:
        """Value of the header Proxy-Authorization; "" without a login."""
        login = f"{self.user}:{self.password.get_secret_value()}".encode()
        return SecretStr(f"Basic {base64.b64encode(login).decode()}" if self.user else "")


def parse_http_proxy(text: str) -> HttpProxy:
    """The proxy of a URL; special characters in user and password are encoded as in every URL (`%40` for `@`).

    Raises:
        ValueError: what to write instead; without the text, which may contain a password.
    """
    match = _URL.fullmatch(text)
    if match is None or not HOST_NAME.fullmatch(match["host"]) or not is_port(match["port"]):
        raise ValueError(
            f'use http://, a host name or IPv4 address, and a port: "{_EXAMPLE}"; in a source, also with '
            "user:password@ before the host, and their special characters encoded (%40 for @)"
        )
    try:
        user, password = (unquote_to_bytes(match[part] or "").decode() for part in ("user", "password"))
    except UnicodeDecodeError:
        raise ValueError("user or password is not UTF-8 text after decoding its %xx; encode % itself as %25") from None
    # In the file with which apt signs in, a space ends a value, and quotes do not help.
    if any(char.isspace() or not char.isprintable() for char in user + password) or ":" in user:
        raise ValueError("user or password has a space, which apt does not support, or the user has a colon")
    return HttpProxy(match["host"], int(match["port"]), user, SecretStr(password))


def _check(value: Any) -> str | Source:
    if isinstance(value, str):
        if value and "@" in value:
            raise ValueError(
                "never write a password in the settings; use a source with http://user:password@host:port as its "
                'first line, such as {"file": "~/.hearth/proxy"}'
            )
        return parse_http_proxy(value).address if value else ""
    try:
        return Source.model_validate(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f'"{_EXAMPLE}", or with a password: {reason}') from None


# "" for none, an address, or a source of one with a password.
ProxySetting = Annotated[
    str | Source,
    BeforeValidator(_check),
    PlainSerializer(lambda value: value.model_dump() if isinstance(value, Source) else value, return_type=Any),
]


def read_http_proxy(setting: str | Source) -> HttpProxy | None:
    """The proxy of the setting `host_http_proxy`; None for "".

    Raises:
        SourceError: its source can't be read, or has no valid address; the message has nothing of the secret.
    """
    if not setting:
        return None
    if isinstance(setting, str):
        return parse_http_proxy(setting)
    text = read_secret(setting).get_secret_value().splitlines()[0].strip()
    try:
        return parse_http_proxy(text)
    except ValueError as error:
        raise SourceError(f"{setting.description} has no valid address in its first line: {error}") from None
