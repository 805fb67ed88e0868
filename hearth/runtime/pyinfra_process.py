"""Run pyinfra as a separate process and parse its output. Standard library only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from glob import escape
from pathlib import Path

from hearth.paths import CHECKOUT


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
        environment: None for this process's own.

    Raises:
        subprocess.TimeoutExpired: it did not finish within `timeout` seconds.
    """
    return subprocess.run(
        [python, "-m", "pyinfra", *words],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


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
