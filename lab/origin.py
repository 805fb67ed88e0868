"""What an artefact was made from, where that is not fixed beforehand: lines for people, kept beside what was made."""

from __future__ import annotations

from pathlib import Path

_FILE = "origin"


def add(out: Path, line: str) -> None:
    """Note a line in an artefact that is being made."""
    with (out / _FILE).open("a") as file:
        file.write(f"{line}\n")


def lines(artefact: Path) -> list[str]:
    """What was noted; nothing where all is pinned."""
    path = artefact / _FILE
    return path.read_text().splitlines() if path.exists() else []
