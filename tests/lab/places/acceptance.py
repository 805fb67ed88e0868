"""The acceptance suite, unchanged, against one more place."""

from __future__ import annotations

import subprocess
import sys

from tests.lab.machine import ROOT


def accepted(inventory: str, timeout: int = 1200) -> str:
    """Run tests/acceptance in a process of its own, and return its last line.

    Args:
        inventory: a file, as pyinfra takes it.

    Raises:
        AssertionError: it failed; with what it printed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", inventory],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]
