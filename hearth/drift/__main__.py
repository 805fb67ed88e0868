"""Compare hosts with their settings: `python -m hearth.drift INVENTORY`. Changes nothing.

Exit codes: 0 every host is in sync, 1 at least one has drifted, 2 the state of at least one is unknown (unreachable, an
invalid setting, a preflight failure, a timeout), also if others have drifted, as with `diff`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from hearth.drift.verdict import Verdict, exit_code, format_verdict, judge, parse_report
from hearth.runtime.explain import EXPLAIN_LOG
from hearth.runtime.pyinfra_process import InventoryError, limit_pattern, list_hosts, resolve_inventory, run_pyinfra


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
    hosts = list_hosts(options.inventory, options.limit, options.timeout)
    # One at a time in a terminal, where pyinfra may prompt for a password.
    with ThreadPoolExecutor(1 if sys.stdin.isatty() else options.parallel) as pool:
        return dict(zip(hosts, pool.map(lambda name: inspect_host(inventory, name, options), hosts), strict=True))


def inspect_host(inventory: str, name: str, options: argparse.Namespace) -> Verdict:
    """Compare one host, in a separate run: pyinfra ends the run of all hosts if one is not ready."""
    with tempfile.TemporaryDirectory(prefix="hearth-drift-") as directory:
        report = Path(directory) / "report"
        data = [*options.data, *([f"x_bundle={options.bundle}"] if options.bundle else [])]
        words = [word for value in data for word in ("--data", value)]
        try:
            done = run_pyinfra(
                inventory, "deploy.py", "--dry", "--json", "--limit", limit_pattern(name), *words,
                timeout=options.timeout, environment={EXPLAIN_LOG: str(report)},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            code, output, errors = -1, "", f"timed out after {options.timeout:g} s (--timeout)"
        else:
            code, output, errors = done.returncode, done.stdout, done.stderr
        reasons = parse_report(report.read_text(encoding="utf-8")) if report.exists() else []
    return judge(code, output, errors, reasons)


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
