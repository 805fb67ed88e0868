"""The steps for every kind of host: a fresh host, one deploy, a second one without changes, the acceptance suite."""

from __future__ import annotations

import subprocess
import sys

import lab
from tests.lab import backend
from tests.lab.checks import serves
from tests.lab.machine import INVENTORY, PYINFRA, ROOT, STACK, Run, deploy, on_guest


def begin() -> None:
    """Start the guest as after its first boot, with the existing backend."""
    for words in (["up", *STACK], ["fresh", *STACK]):
        subprocess.run([sys.executable, "-m", "lab", *words], cwd=ROOT, check=True, timeout=4 * 3600)
    backend.start()


def end() -> None:
    """Shut it down; its disk is kept."""
    subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, check=True, timeout=300)


def deployed_from_fresh(timeout: int) -> None:
    """Deploy to a host without Docker within `timeout` seconds: it works."""
    assert on_guest("command -v docker || true") == ""
    done = subprocess.run([PYINFRA, "-y", INVENTORY, "deploy.py"], cwd=ROOT, check=False, timeout=timeout)
    assert done.returncode == 0
    serves(tuple(lab.status().models))


def quiet() -> Run:
    """Deploy again: nothing is changed."""
    again = deploy(timeout=1800)
    assert (again.code, again.changed) == (0, ()), again.output
    print(f"\n  nothing to do: {again.seconds:.1f} s")
    return again


def accepted(timeout: int, inventory: str = INVENTORY) -> None:
    """The unchanged acceptance suite passes within `timeout` seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", inventory],
        cwd=ROOT,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0
