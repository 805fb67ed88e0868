"""Files that Hearth keeps on a host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hearth.paths import ROOT
from hearth.releases.facts import SHOW_ACCEPTED, accepted_release
from hearth.releases.release import Release
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact


@dataclass(frozen=True)
class TreeState:
    """Files of a host.

    Attributes:
        digests: path → SHA-256 (hex) of existing files. A file with an owner other than root or a mode other than 0644
            has the digest "", and so counts as different.
        accepted: the last accepted release; None before the first, or if its record is unreadable.
    """

    digests: dict[str, str] = field(default_factory=dict)
    accepted: Release | None = None


class Tree(StateFact[TreeState]):
    """Digests of `paths`, relative to `/opt/hearth`, and the accepted release."""

    @override
    def command(self, paths: tuple[str, ...]) -> str:
        names = quote(*paths)
        return (
            f"cd {ROOT} 2>/dev/null || exit 0; echo @@modes; stat -c '%a:%U:%F %n' {names} 2>/dev/null; "
            f"echo @@digests; sha256sum {names} 2>/dev/null; "
            f"{SHOW_ACCEPTED}; true"
        )

    @override
    def process(self, output: Iterable[str]) -> TreeState:
        sections = parse_sections(output)
        digests = parse_digests(sections["digests"])
        lines = [line.replace("regular empty file", "regular file", 1) for line in sections["modes"]]
        prefix = "644:root:regular file "
        regular = {line.removeprefix(prefix) for line in lines if line.startswith(prefix)}
        return TreeState(
            {path: digest if path in regular else "" for path, digest in digests.items()}, accepted_release(sections)
        )
