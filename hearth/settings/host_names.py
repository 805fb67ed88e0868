"""Names of the host in `Host` headers, in the form in which `proxy_host_names` lists them. Pure rules."""

from __future__ import annotations

import re

_LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def listed_form(name: str) -> str:
    """A host name as a browser sends it, which is the form to list: lower case, in Punycode, without a final dot."""
    name = name.strip().lower().removesuffix(".")
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def check_served_name(value: str) -> str:
    """Return a name unchanged if browsers can send it as `Host`. Unlike in DNS, an underscore is allowed.

    Raises:
        ValueError: with what to write instead.
    """
    if _NAME.fullmatch(value):
        return value
    wanted = listed_form(value)
    if _NAME.fullmatch(wanted):
        raise ValueError(f'use "{wanted}"')
    raise ValueError('a host name is lower case, without scheme, port or slash, such as "chat.example.org"')
