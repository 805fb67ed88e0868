"""Indexes of a Debian archive, unsigned, for tests that serve one."""

from __future__ import annotations

import hashlib
from pathlib import Path


def publish_index(root: Path, suite: str, path: str, index: bytes) -> None:
    """Write an index of a suite ("main/source/Sources"), and the Release file that lists it, below `root`."""
    file = root / "dists" / suite / path
    file.parent.mkdir(parents=True)
    file.write_bytes(index)
    (root / "dists" / suite / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nComponents: main\nArchitectures: amd64\nSHA256:\n"
        f" {hashlib.sha256(index).hexdigest()} {len(index)} {path}\n"
    )
