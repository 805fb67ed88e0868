"""What an artefact was built from, if that is not pinned: readable lines, stored in the artefact."""

from __future__ import annotations

from pathlib import Path

_FILE = "origin"


def add(out: Path, line: str) -> None:
    """Add a line to an artefact that is being built."""
    with (out / _FILE).open("a") as file:
        file.write(f"{line}\n")


def lines(artefact: Path) -> list[str]:
    """The lines of an artefact; none if everything is pinned."""
    path = artefact / _FILE
    return path.read_text().splitlines() if path.exists() else []
