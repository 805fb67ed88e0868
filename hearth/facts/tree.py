"""Files that Hearth keeps on a host."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase
from typing_extensions import override

from hearth.host_paths import ROOT
from hearth.sections import parse_sections
from hearth.shell import quote


class Tree(FactBase[dict[str, str]]):
    """Digest (SHA-256, hex) of each of `paths`, which are relative to `/opt/hearth`.

    A file with another owner than root or another mode than 0644 has the digest "" and so counts as different.
    """

    @staticmethod
    @override
    def default() -> dict[str, str]:
        return {}

    @override
    def command(self, paths: tuple[str, ...]) -> str:
        names = quote(*paths)
        return (
            f"cd {ROOT} 2>/dev/null || exit 0; echo @@modes; stat -c '%a:%U:%F %n' {names} 2>/dev/null; "
            f"echo @@digests; sha256sum {names} 2>/dev/null; true"
        )

    @override
    def process(self, output: Iterable[str]) -> dict[str, str]:
        sections = parse_sections(output)
        digests = {path: digest for digest, _, path in (line.partition("  ") for line in sections["digests"])}
        lines = [line.replace("regular empty file", "regular file", 1) for line in sections["modes"]]
        prefix = "644:root:regular file "
        right = {line.removeprefix(prefix) for line in lines if line.startswith(prefix)}
        return {path: digest if path in right else "" for path, digest in digests.items()}
