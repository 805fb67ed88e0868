"""The lab's machine in tests: commands, deploys and snapshots."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab

ROOT = Path(__file__).resolve().parent.parent.parent
PYINFRA = str(Path(sys.executable).parent / "pyinfra")
INVENTORY = "inventory/lab.py"
# What scenarios need, whatever a demo left behind.
STACK = ("--images", "built", "--models", "tiny")
# The lab's images, with the versions that were available when it was built, and the names of newer ones. Empty before
# the first start.
HTTPD_IMAGE = lab.status().images.get("httpd", "")
OLLAMA_IMAGE = lab.status().images.get("ollama", "")
NEXT_HTTPD, NEXT_OLLAMA = f"{HTTPD_IMAGE}-next", f"{OLLAMA_IMAGE}-next"


def on_guest(script: str, timeout: int = 120, check: bool = True) -> str:
    """Run a shell script on the guest as the user pi (who has sudo) and return its stripped output.

    Raises:
        AssertionError: it failed (with its output), if `check` is set.
    """
    status = lab.status(must_run=True)
    done = subprocess.run(
        ["ssh", "-F", status.ssh_config, status.ssh_host, script],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert not check or done.returncode == 0, f"on the guest: {script}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def listed_on_guest(script: str) -> list[str]:
    """The sorted output lines of a shell script on the guest, to compare states.

    Sorted here, since `… | sort` would hide the script's exit code, and two failures would be equal.

    Raises:
        AssertionError: it failed, or printed nothing.
    """
    lines = sorted(on_guest(script).splitlines())
    assert lines, f"on the guest: {script} printed nothing"
    return lines


@dataclass(frozen=True)
class Run:
    """One run of pyinfra.

    Attributes:
        code: exit code.
        changed: names of the operations that changed something.
        unchanged: number of operations with nothing to do.
        output: everything it printed.
        seconds: wall-clock time.
    """

    code: int
    changed: tuple[str, ...]
    unchanged: int
    output: str
    seconds: float


def deploy(*data: str, timeout: int = 900, inventory: str = INVENTORY) -> Run:
    """Deploy to the lab; `data` are settings as for `pyinfra --data`: `name=value`, with JSON values."""
    return pyinfra("deploy.py", *data, timeout=timeout, inventory=inventory)


def deployed_with(*data: str) -> Run:
    """Like `deploy`, but must succeed."""
    run = deploy(*data)
    assert run.code == 0, run.output
    return run


def pyinfra(deploy_file: str, *data: str, timeout: int = 900, inventory: str = INVENTORY) -> Run:
    """Run a deploy file against the lab, or another inventory; `data` as above."""
    arguments = [word for item in data for word in ("--data", item)]
    begun = time.monotonic()
    done = subprocess.run(
        [PYINFRA, "-y", "--json", *arguments, inventory, deploy_file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    seconds = time.monotonic() - begun
    operations = _operations(done.stdout)
    return Run(
        code=done.returncode,
        changed=tuple(one["name"] for one in operations if one["success"]),
        unchanged=sum(len(one["no_change"]) for one in operations),
        output=done.stdout + done.stderr,
        seconds=seconds,
    )


def _operations(text: str) -> list[dict[str, Any]]:
    """The operations in the output of `pyinfra -y --json`; empty if the run did not get that far."""
    start = text.find("{")
    document: dict[str, Any] = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else {}
    operations: list[dict[str, Any]] = (document.get("results") or {}).get("operations", [])
    return operations


def restore(name: str) -> None:
    """Restore a snapshot of the machine, with the lab's registries and tiny models."""
    subprocess.run(
        [sys.executable, "-m", "lab", "restore", name, *STACK], cwd=ROOT, check=True, capture_output=True, timeout=120
    )


def url() -> str:
    """The deployed chat page's address on this machine."""
    return lab.status(must_run=True).url


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a condition is true.

    Raises:
        AssertionError: it was false for `seconds`; with the last error.
    """
    deadline = time.monotonic() + seconds
    last: object = "condition is false"
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException, AssertionError, subprocess.TimeoutExpired) as error:
            last = error
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds:.0f} s until {what}; last: {last}")


def reboot() -> None:
    """Reboot the guest, and wait until it accepts commands again."""
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = on_guest(boot_id)
    on_guest("sudo systemctl reboot", check=False)
    wait_until(lambda: on_guest(boot_id, timeout=20) != before, 300, "the guest is back")
