"""Output of a script with several sections: `@@name` lines, each followed by its content."""

from __future__ import annotations

from collections.abc import Iterable

Sections = dict[str, list[str]]


def parse_sections(lines: Iterable[str]) -> Sections:
    """Split lines at `@@name` markers; lines before the first marker are dropped."""
    sections: Sections = {}
    current: list[str] | None = None
    for line in lines:
        if line.startswith("@@"):
            current = sections.setdefault(line[2:].strip(), [])
        elif current is not None:
            current.append(line)
    return sections


def parse_digests(lines: Iterable[str]) -> dict[str, str]:
    """Path → SHA-256 (hex), from the lines of `sha256sum`."""
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def parse_assignments(lines: Iterable[str]) -> dict[str, str]:
    """`NAME=value` lines, quotes removed, as in `/etc/os-release`."""
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
