"""Settings from a host's data, with errors that name each setting, its value and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hearth.settings.model import Settings
from hearth.settings.renamed import RENAMED
from hearth.settings.role import without_unused
from hearth.settings.rules import check_settings
from hearth.settings.types import is_text

# Not Hearth's: pyinfra's connection settings, its per-operation arguments, and the user's own data (x_…).
_IGNORED_PREFIXES = ("ssh_", "_", "x_")
# A misspelt or misused value may contain a secret, so messages never show it.
_NOT_SHOWN = frozenset({"proxy_users", "proxy_api_keys", "proxy_providers", "host_http_proxy"})


class SettingsError(ValueError):
    """Invalid settings of a host; the message names each setting, its value and what to write instead."""


def load_settings(data: Mapping[str, Any], host: str = "host") -> Settings:
    """Build the settings from a host's data in pyinfra.

    Args:
        data: names to primitives; names that begin with `ssh_`, `_` or `x_` are ignored.
        host: the host's name, for messages.

    Raises:
        SettingsError: one line per missing, unknown or invalid setting.
    """
    own = {name: value for name, value in data.items() if not name.startswith(_IGNORED_PREFIXES)}
    if len(own.keys() & Settings.model_fields) < len(Settings.model_fields) / 2:
        raise SettingsError(
            f"{host}: {'almost no' if own else 'no'} settings: group_data/all.py was not found; run pyinfra in "
            "Hearth's directory, or with --chdir DIRECTORY"
        )
    if broken := [name for name, value in own.items() if not is_text(value)]:
        lines = (f"{host}: {_plain(name)}: not valid UTF-8 text" for name in broken)
        raise SettingsError("\n".join(lines))
    try:
        settings = Settings.model_validate(own)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{host}: {line}" for line in _explain(error, own))) from None
    settings = without_unused(settings)
    try:
        check_settings(settings)
    except ValueError as error:
        raise SettingsError(f"{host}: {_one_line(str(error))}") from None
    return settings


def _explain(error: ValidationError, data: Mapping[str, Any]) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        location = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if not location:
            lines.append(message)
            continue
        name = location[0]
        where = _plain(name) + "".join(f"[{_plain(part)}]" for part in location[1:] if part != "[key]")
        if problem["type"] == "extra_forbidden" and len(location) == 1:
            if name in RENAMED:
                lines.append(f"{where}: renamed; use {RENAMED[name]}")
                continue
            close = difflib.get_close_matches(name, [*Settings.model_fields, *RENAMED], n=1)
            close = [RENAMED.get(one, one) for one in close]
            hint = f'; did you mean "{close[0]}"?' if close else "; group_data/all.py lists all settings"
            value = "…" if _NOT_SHOWN.intersection(close) else _short(data[name])
            lines.append(f"{where} = {value}: unknown setting{hint}")
        elif problem["type"] == "missing" and len(location) == 1:
            lines.append(f"{name} is missing; restore its default in group_data/all.py")
        elif name in _NOT_SHOWN:
            lines.append(f"{where}: {message}")
        else:
            lines.append(f"{where} = {_short(_value_at(data, problem['loc']))}: {message}")
    return [_one_line(line) for line in lines]


def _plain(name: str) -> str:
    """The name, escaped if it has characters that can't be printed."""
    return name if name.isprintable() and name else repr(name)


def _one_line(text: str) -> str:
    """The text with unprintable characters escaped, since messages may quote the input."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _short(value: Any) -> str:
    """The value's `repr`, truncated if long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _value_at(data: Any, location: tuple[int | str, ...]) -> Any:
    """The value at a pydantic location, or its nearest existing parent."""
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
    return data
