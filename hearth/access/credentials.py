"""Users and API clients that may call, with their passwords and keys, read from where the settings say."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from hearth.settings.model import Settings
from hearth.settings.secret_source import Source, SourceError, read_secret

# bcrypt looks at no more bytes than that.
_LONGEST_PASSWORD = 72
_SHORTEST_PASSWORD = 8
_SHORTEST_KEY, _LONGEST_KEY = 20, 512


@dataclass(frozen=True)
class Credentials:
    """Names and what proves them; neither shows in any `repr`."""

    users: Mapping[str, SecretStr] = field(default_factory=dict)
    api_keys: Mapping[str, SecretStr] = field(default_factory=dict)


def read_credentials(settings: Settings) -> Credentials:
    """Read every password and key that the settings name.

    Raises:
        SourceError: one line for each that can't be had or can't be used: which setting, and why.
    """
    wrong: list[str] = []
    users = _read("proxy_users", settings.proxy_users, check_password, "password", wrong)
    api_keys = _read("proxy_api_keys", settings.proxy_api_keys, check_key, "API key", wrong)
    keys: dict[str, str] = {}
    for name, key in api_keys.items():
        other = keys.setdefault(key.get_secret_value(), name)
        if other != name:
            wrong.append(f"proxy_api_keys[{name}]: it has the same key as {other}; give each its own")
    if wrong:
        raise SourceError("\n".join(wrong))
    return Credentials(users, api_keys)


def _read(
    setting: str, sources: Mapping[str, Source], check: Callable[[str], str], noun: str, wrong: list[str]
) -> dict[str, SecretStr]:
    found = {}
    for name, source in sources.items():
        try:
            found[name] = SecretStr(check(read_secret(source).get_secret_value()))
        except SourceError as error:
            wrong.append(f"{setting}[{name}]: {error}")
        except ValueError as error:
            wrong.append(f"{setting}[{name}]: {source.description} gives what is no {noun}: {error}")
    return found


def check_password(text: str) -> str:
    """The first line, if a person can sign in with it: `pass` and the like keep notes below it.

    Raises:
        ValueError: why not, without a word of it.
    """
    line = unicodedata.normalize("NFC", text.splitlines()[0])
    if not line.isprintable() or line != line.strip():
        raise ValueError("its first line begins or ends with a space, or has characters that can't be typed")
    if len(line) < _SHORTEST_PASSWORD:
        raise ValueError(f"its first line has fewer than {_SHORTEST_PASSWORD} characters")
    if len(line.encode()) > _LONGEST_PASSWORD:
        raise ValueError(f"its first line has more than {_LONGEST_PASSWORD} bytes, which bcrypt would not look at")
    return line


def check_key(text: str) -> str:
    """The first line, if a program can send it, and nobody can guess it.

    Raises:
        ValueError: why not, without a word of it.
    """
    line = text.splitlines()[0]
    if not line.isascii() or not line.isprintable() or " " in line:
        raise ValueError("its first line has a space, or characters beyond those of ASCII")
    if not _SHORTEST_KEY <= len(line) <= _LONGEST_KEY or len(set(line)) < _SHORTEST_KEY // 3:
        raise ValueError(
            f"at least {_SHORTEST_KEY} characters made by chance would be right; `openssl rand -hex 20` makes one"
        )
    return line
