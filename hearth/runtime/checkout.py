"""The checkout that a run was started from, who deploys, and from which commit."""

from __future__ import annotations

import getpass
import platform
import subprocess

from hearth.paths import CHECKOUT

# Suffix of a commit: the deployed files had uncommitted edits.
CHANGED = "+changes"


def deployer() -> str:
    """`user@machine` of the control machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


def current_commit() -> str:
    """Short hash of the checkout's commit, with `+changes` if tracked files were edited; "" without git."""
    name = _git("rev-parse", "--short", "HEAD")
    return f"{name}{CHANGED}" if name and _git("status", "--porcelain", "--untracked-files=no") else name


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(CHECKOUT), *words], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
