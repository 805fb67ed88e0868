"""Text files that Hearth writes on a host, next to those that are there. Pure rules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def digest(text: str) -> str:
    """SHA-256 (hex) of a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def describe_differing(present: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """`PATH differs` or `PATH is missing` for each file with other content, or none.

    Args:
        present: path → SHA-256 (hex) of the existing ones.
        files: path → the text that the file should have.
    """
    return [
        f"{path} {'differs' if path in present else 'is missing'}"
        for path, text in files.items()
        if present.get(path) != digest(text)
    ]
