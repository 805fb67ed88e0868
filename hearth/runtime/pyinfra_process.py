"""Run pyinfra as a separate process and parse its output. Standard library only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from glob import escape
from pathlib import Path

from hearth.paths import CHECKOUT

# Environment variables that would make pyinfra execute, or select other hosts.
_NOT_PASSED_ON = ("PYINFRA_YES", "PYINFRA_LIMIT", "PYINFRA_EXCLUDE", "PYINFRA_DRY", "PYINFRA_JSON")


class InventoryError(Exception):
    """An inventory without a host to inspect; the message has the reason."""


def resolve_inventory(inventory: str) -> str:
    """An inventory as pyinfra finds it from the checkout: a file in the current directory gets its full path.

    Other values are not changed: files of the checkout, host names, connectors such as `@local`.
    """
    path = Path(inventory).resolve()
    if not path.exists():
        return inventory
    # In messages, a file of the checkout has its usual name.
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def run_pyinfra(
    *words: str, timeout: float, python: str = sys.executable, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run pyinfra in the project's directory, without prompts.

    Args:
        python: an interpreter with pyinfra installed.
        environment: variables in addition to this process's own, of which those that would make pyinfra execute, or
            select other hosts, are removed.

    Raises:
        subprocess.TimeoutExpired: it did not finish within `timeout` seconds.
    """
    return subprocess.run(
        [python, "-m", "pyinfra", *words],
        cwd=CHECKOUT,
        env={name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON} | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def list_hosts(inventory: str, limits: Sequence[str], timeout: float) -> list[str]:
    """Names of the selected hosts of an inventory.

    Args:
        inventory: as given by the user, for messages, too.
        limits: as for `select_hosts`.

    Raises:
        InventoryError: there are none, or the inventory can't be read within `timeout` seconds.
    """
    try:
        listed = run_pyinfra(resolve_inventory(inventory), "debug-inventory", "--json", timeout=timeout)
    except subprocess.TimeoutExpired:
        raise InventoryError(f"{inventory}: timed out after {timeout:g} s (--timeout)") from None
    if listed.returncode:
        raise InventoryError(f"{inventory}: {failure_reason(listed.stderr) or 'no hosts'}")
    if hosts := select_hosts(listed.stdout, limits):
        return hosts
    raise InventoryError(f"{inventory}: {'no host of the inventory matches' if limits else 'no hosts'}")


def failure_reason(errors: str) -> str:
    """The reason in pyinfra's standard error, without its headings and code locations; "" if none."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in errors.splitlines()]
    failed = [index for index, line in enumerate(lines) if re.match(r"--> .*\berror\b", line)]
    if failed:
        begin = failed[-1]
        first = re.sub(r"^--> (?:[^:]*? in .+? line \d+|[^:]*error): ", "", lines[begin])
        rest = [line for line in lines[begin + 1 :] if line.strip() and not line.startswith("-->")]
        if "No hosts remaining" not in first:
            return "\n".join([first, *rest])
    about_host = [line.strip() for line in lines if line.lstrip().startswith("[") and not line.endswith("Connected")]
    if about_host:
        return "\n".join(re.sub(r"^\[[^\]]*\]\s*", "", line) for line in about_host)
    others = [line.strip() for line in lines if line.strip() and not line.startswith("-->")]
    return others[-1] if others else ""


def select_hosts(inventory: str, limits: Sequence[str]) -> list[str]:
    """Names of the hosts in the output of `pyinfra debug-inventory --json` that match one of the limits, if any.

    Args:
        limits: group names or host name patterns, as for pyinfra's `--limit`.
    """
    try:
        hosts = json.loads(inventory)
    except ValueError:
        return []
    return [
        host["name"]
        for host in hosts
        if not limits or any(limit in host["groups"] or fnmatch(host["name"], limit) for limit in limits)
    ]


def limit_pattern(name: str) -> str:
    """A `--limit` that matches only this host: a bare name could also be a group's."""
    return f"[{name[0]}]{escape(name[1:])}"
