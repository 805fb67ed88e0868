"""What was typed for pyinfra. It does not tell the code that it runs; its command line is read once more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandLine:
    """The words of a command line that matter here.

    Attributes:
        inventory: a file, or hosts with commas between.
        operations: deploy files, or what else pyinfra is to run.
        limit, exclude: patterns, or names of groups.
        data: `name=value` settings.
        group_data: further directories of group data.
        only_looks: nothing will be changed: `--dry`, or one of the options that only print.
    """

    inventory: str = ""
    operations: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    group_data: tuple[str, ...] = ()
    only_looks: bool = False


def read_command_line(words: Sequence[str] | None = None) -> CommandLine:
    """`words` as pyinfra understands them; its own, those of this process, by default."""
    # Not at the top: importing it patches the standard library.
    from pyinfra_cli.cli import cli  # type: ignore[import-untyped]

    asked = cli.make_context("pyinfra", list(sys.argv[1:] if words is None else words), resilient_parsing=True).params
    return CommandLine(
        inventory=asked["inventory"] or "",
        operations=tuple(asked["operations"] or ()),
        limit=tuple(asked["limit"] or ()),
        exclude=tuple(asked["exclude"] or ()),
        data=tuple(asked["data"] or ()),
        group_data=tuple(asked["group_data"] or ()),
        only_looks=any(
            (asked["dry"], asked["debug_operations"], asked["debug_facts"], asked["json_output"] and not asked["yes"])
        ),
    )
