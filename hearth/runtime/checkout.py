"""Who deploys, and from which commit: for the release record."""

from __future__ import annotations

import getpass
import platform
import subprocess
from pathlib import Path

from hearth.releases.release import CHANGED

_ROOT = Path(__file__).resolve().parents[2]


def deployer() -> str:
    """`user@machine` of the control machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


def commit() -> str:
    """Short name of the checkout's commit, with `+changes` where tracked files were edited; "" without git."""
    name = _git("rev-parse", "--short", "HEAD")
    return f"{name}{CHANGED}" if name and _git("status", "--porcelain", "--untracked-files=no") else name


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *words], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
