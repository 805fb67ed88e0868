"""Ansible and matplotlib, in an environment of their own under the lab's cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab import cache

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def programs() -> Path:
    """The directory with `python` and `ansible-playbook`, installed first if they are missing; says so."""
    directory = cache.root().parent / f"bench-{cache.key_of(REQUIREMENTS.read_bytes(), sys.version)}"
    complete = directory / ".complete"
    if not complete.exists():
        print(f"Installing Ansible and matplotlib into {directory} (a minute or two) …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([str(directory / "bin/python"), *words, "-r", str(REQUIREMENTS)], check=True)
        complete.touch()
    return directory / "bin"


def plot(kind: str, results: Path) -> None:
    """Draw the plots of a result next to it. `kind`: the module plot_KIND."""
    script = Path(__file__).with_name(f"plot_{kind}.py")
    subprocess.run([str(programs() / "python"), str(script), str(results)], check=True)
