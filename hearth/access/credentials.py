"""Credentials of users and API clients, and keys of providers, read from the sources in the settings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from hearth.settings.model import Settings
from hearth.settings.providers import Api, provider_mark
from hearth.settings.secret_source import Source, SourceError, read_secret

# bcrypt ignores further bytes.
_MAX_PASSWORD = 72
_MIN_PASSWORD = 8
_MIN_KEY, _MAX_KEY = 20, 512
# Characters that mean nothing to httpd, in a header's value between quotes.
_PROVIDER_KEY = re.compile(r"[A-Za-z0-9._~+/=:-]{8,4096}")


@dataclass(frozen=True)
class ProviderKey:
    """The key of a provider in the internet.

    Attributes:
        mark: what httpd.conf sets for requests to it, see `provider_mark`.
    """

    mark: str
    api: Api
    key: SecretStr


@dataclass(frozen=True)
class Credentials:
    """Names with their passwords and keys, which no `repr` shows; and names of providers with theirs."""

    users: Mapping[str, SecretStr] = field(default_factory=dict)
    api_keys: Mapping[str, SecretStr] = field(default_factory=dict)
    providers: Mapping[str, ProviderKey] = field(default_factory=dict)


def read_credentials(settings: Settings) -> Credentials:
    """Read every password and key that the settings name.

    Raises:
        SourceError: one line for each that can't be read or is invalid: the setting and the reason.
    """
    errors: list[str] = []
    users = _read("proxy_users", settings.proxy_users, check_password, "password", errors)
    api_keys = _read("proxy_api_keys", settings.proxy_api_keys, check_key, "API key", errors)
    keys: dict[str, str] = {}
    for name, key in api_keys.items():
        other = keys.setdefault(key.get_secret_value(), name)
        if other != name:
            errors.append(f"proxy_api_keys[{name}]: the same key as {other}; use a different one for each")
    sources = {name: provider.key for name, provider in settings.proxy_providers.items()}
    provider_keys = _read("proxy_providers", sources, check_provider_key, "key", errors)
    for name, key in provider_keys.items():
        if client := keys.get(key.get_secret_value()):
            errors.append(
                f"proxy_providers[{name}]: the same key as proxy_api_keys[{client}], whose client would have the "
                "provider's; use a random one for the client"
            )
    if errors:
        raise SourceError("\n".join(errors))
    providers = {
        name: ProviderKey(provider_mark(name, provider), provider.api, provider_keys[name])
        for name, provider in settings.proxy_providers.items()
    }
    return Credentials(users, api_keys, providers)


def _read(
    setting: str, sources: Mapping[str, Source], check: Callable[[str], str], noun: str, errors: list[str]
) -> dict[str, SecretStr]:
    found = {}
    for name, source in sources.items():
        try:
            found[name] = SecretStr(check(read_secret(source).get_secret_value()))
        except SourceError as error:
            errors.append(f"{setting}[{name}]: {error}")
        except ValueError as error:
            errors.append(f"{setting}[{name}]: {source.description} is not a valid {noun}: {error}")
    return found


def check_password(text: str) -> str:
    """Return the first line if it is a usable password: `pass` and similar programs keep notes below it.

    Raises:
        ValueError: the reason, without the secret.
    """
    line = unicodedata.normalize("NFC", text.splitlines()[0])
    if not line.isprintable() or line != line.strip():
        raise ValueError("the first line begins or ends with a space, or has characters that can't be typed")
    if len(line) < _MIN_PASSWORD:
        raise ValueError(f"the first line is shorter than {_MIN_PASSWORD} characters")
    if len(line.encode()) > _MAX_PASSWORD:
        raise ValueError(f"the first line is longer than {_MAX_PASSWORD} bytes, and bcrypt ignores the rest")
    return line


def check_key(text: str) -> str:
    """Return the first line if an API client can send it and nobody can guess it.

    Raises:
        ValueError: the reason, without the secret.
    """
    line = text.splitlines()[0]
    if not line.isascii() or not line.isprintable() or " " in line:
        raise ValueError("the first line has a space, or characters that are not ASCII")
    if not _MIN_KEY <= len(line) <= _MAX_KEY or len(set(line)) < _MIN_KEY // 3:
        raise ValueError(f"use at least {_MIN_KEY} random characters; `openssl rand -hex 20` prints some")
    return line


def check_provider_key(text: str) -> str:
    """Return the first line if it can be a key that a provider gave out.

    Raises:
        ValueError: the reason, without the secret.
    """
    line = text.splitlines()[0]
    if not _PROVIDER_KEY.fullmatch(line):
        raise ValueError("the first line is not 8 to 4096 letters, digits and . _ ~ + / = : - only")
    return line
