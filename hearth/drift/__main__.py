"""Compare hosts with their settings: `python -m hearth.drift INVENTORY`. Changes nothing.

Exit codes: 0 every host is in sync, 1 at least one has drifted, 2 the state of at least one is unknown (unreachable, an
invalid setting, a preflight failure, a timeout), also if others have drifted, as with `diff`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from hearth.drift.verdict import Verdict, exit_code, format_verdict, judge, parse_report
from hearth.runtime.explain import EXPLAIN_LOG
from hearth.runtime.pyinfra_process import failure_reason, limit_pattern, resolve_inventory, run_pyinfra, select_hosts

# Environment variables that would make pyinfra execute, or select other hosts.
_NOT_PASSED_ON = ("PYINFRA_YES", "PYINFRA_LIMIT", "PYINFRA_EXCLUDE", "PYINFRA_DRY", "PYINFRA_JSON")


class InventoryError(Exception):
    """An inventory without a host to inspect; the message has the reason."""


def main(arguments: list[str] | None = None) -> int:
    """Inspect the hosts, print a verdict on each, and return the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        verdicts = inspect_hosts(options)
    except InventoryError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({name: asdict(verdict) for name, verdict in verdicts.items()}, indent=2, ensure_ascii=False))
    else:
        for name, verdict in verdicts.items():
            if not options.quiet or verdict.state != "same":
                print(format_verdict(name, verdict))
    return exit_code(verdicts.values())


def inspect_hosts(options: argparse.Namespace) -> dict[str, Verdict]:
    """The verdict on each selected host, by its name.

    Args:
        options: of `make_parser`.

    Raises:
        InventoryError: there are none.
    """
    inventory = resolve_inventory(options.inventory)
    code, output, errors = _pyinfra(inventory, "debug-inventory", "--json", timeout=options.timeout)
    hosts = select_hosts(output, options.limit) if code == 0 else []
    if not hosts:
        no_match = code == 0 and options.limit
        problem = "no host of the inventory matches" if no_match else failure_reason(errors)
        raise InventoryError(f"{options.inventory}: {problem or 'no hosts'}")
    # One at a time in a terminal, where pyinfra may prompt for a password.
    with ThreadPoolExecutor(1 if sys.stdin.isatty() else options.parallel) as pool:
        return dict(zip(hosts, pool.map(lambda name: inspect_host(inventory, name, options), hosts), strict=True))


def inspect_host(inventory: str, name: str, options: argparse.Namespace) -> Verdict:
    """Compare one host, in a separate run: pyinfra ends the run of all hosts if one is not ready."""
    with tempfile.TemporaryDirectory(prefix="hearth-drift-") as directory:
        report = Path(directory) / "report"
        data = [*options.data, *([f"x_bundle={options.bundle}"] if options.bundle else [])]
        words = [word for value in data for word in ("--data", value)]
        code, output, errors = _pyinfra(
            inventory, "deploy.py", "--dry", "--json", "--limit", limit_pattern(name), *words,
            timeout=options.timeout, report=str(report),
        )  # fmt: skip
        reasons = parse_report(report.read_text(encoding="utf-8")) if report.exists() else []
    return judge(code, output, errors, reasons)


def _pyinfra(inventory: str, *words: str, timeout: float, report: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a run of pyinfra in the project's directory."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON} | {
        EXPLAIN_LOG: report
    }
    try:
        done = run_pyinfra(inventory, *words, timeout=timeout, environment=environment)
    except subprocess.TimeoutExpired:
        return -1, "", f"timed out after {timeout:g} s (--timeout)"
    return done.returncode, done.stdout, done.stderr


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m hearth.drift`, whose options `hearth drift` has, too."""
    parser = argparse.ArgumentParser(
        prog="python -m hearth.drift",
        description="Compare hosts with their settings and print the differences. Changes nothing.",
        epilog="Exit codes: 0 every host is in sync; 1 at least one has drifted; 2 the state of at least one is "
        "unknown (also if others have drifted).",
    )
    parser.add_argument("inventory", metavar="INVENTORY", help="as for pyinfra: inventory/pi.py")
    parser.add_argument("--limit", action="append", default=[], metavar="PATTERN", help="only these hosts or groups")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    parser.add_argument("--bundle", metavar="FILE", help="also compare with the models of this file (hearth bundle)")
    parser.add_argument(
        "--json", action="store_true", help='print {host: {"state": …, "reasons": […], "warnings": […]}}'
    )
    parser.add_argument("--quiet", action="store_true", help="omit hosts that are in sync")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="per host (default 300)")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="hosts in parallel (default 4)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
