"""The sample of docs/samples/nextjs, built for production: its own files, `node_modules/` and `.next/`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab import client_libraries, shell

SAMPLE = Path(__file__).resolve().parents[1] / "docs/samples/nextjs"
# What `npm ci` and `next build` leave in a user's copy.
_BUILT = ("node_modules", ".next")


def inputs() -> list[str]:
    """What the result depends on, for its key."""
    files = sorted(path for path in SAMPLE.rglob("*") if path.is_file())
    kept = [path for path in files if path.relative_to(SAMPLE).parts[0] not in _BUILT]
    return [text for path in kept for text in (str(path.relative_to(SAMPLE)), path.read_text())]


def build(libraries: Path, out: Path, log: Path) -> None:
    """Fill `out` as the sample's README says, with the Node and npm of the client libraries."""
    shutil.copytree(SAMPLE, out, ignore=shutil.ignore_patterns(*_BUILT), dirs_exist_ok=True)
    node = str(client_libraries.node_of(libraries))
    # No package may run a program of its own during the installation.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(out)]
    shell.run([node, str(client_libraries.npm_of(libraries)), "ci", *options], log, timeout=600)
    words = [node, str(next_of(out)), "build", str(out)]
    shell.run(words, log, env=os.environ | {"NEXT_TELEMETRY_DISABLED": "1"}, timeout=600)


def next_of(directory: Path) -> Path:
    """Next.js' command line, for Node."""
    return directory / "node_modules/next/dist/bin/next"
