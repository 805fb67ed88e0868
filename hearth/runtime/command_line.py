"""pyinfra's command line, parsed again, since pyinfra does not pass it to the code that it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandLine:
    """The relevant parts of a command line.

    Attributes:
        inventory: a file, or hosts separated by commas.
        operations: deploy files, or other operations for pyinfra.
        limit, exclude: patterns or group names.
        data: `name=value` settings.
        group_data: additional directories of group data.
        is_dry: nothing will be changed: `--dry`, or an option that only prints.
    """

    inventory: str = ""
    operations: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    group_data: tuple[str, ...] = ()
    is_dry: bool = False


def read_command_line(words: Sequence[str] | None = None) -> CommandLine:
    """Parse `words` as pyinfra does; by default this process's command line."""
    # Not at the top: this import patches the standard library.
    from pyinfra_cli.cli import cli  # type: ignore[import-untyped]

    asked = cli.make_context("pyinfra", list(sys.argv[1:] if words is None else words), resilient_parsing=True).params
    return CommandLine(
        inventory=asked["inventory"] or "",
        operations=tuple(asked["operations"] or ()),
        limit=tuple(asked["limit"] or ()),
        exclude=tuple(asked["exclude"] or ()),
        data=tuple(asked["data"] or ()),
        group_data=tuple(asked["group_data"] or ()),
        is_dry=any(
            (asked["dry"], asked["debug_operations"], asked["debug_facts"], asked["json_output"] and not asked["yes"])
        ),
    )
