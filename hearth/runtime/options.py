"""Options of a single run, as opposed to settings: `pyinfra … --data x_backup_to=backups`.

`hearth backup --to backups` and the like pass them.
"""

from __future__ import annotations

from typing import Any

from pyinfra.api import DeployError


def read_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of the choices; the first if none was given.

    Args:
        name: of the data, for the message.

    Raises:
        DeployError: it is not one of them.
    """
    chosen = choices[0] if value in (None, "") else str(value)
    if chosen not in choices:
        raise DeployError(f"{name} = {chosen!r}: use {' or '.join(choices)}; nothing was changed")
    return chosen


def read_required(name: str, value: Any, example: str) -> str:
    """A required text.

    Raises:
        DeployError: it is missing.
    """
    if value in (None, ""):
        raise DeployError(f"{name} is missing: add --data {name}={example}; nothing was changed")
    return str(value)
