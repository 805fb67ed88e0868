"""Who used the hosts, and how much: `python -m hearth.usage INVENTORY`. Changes nothing.

Exit codes: 0 every host's log was read, 2 at least one could not be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hearth.runtime.pyinfra_process import (
    InventoryError,
    failure_reason,
    limit_pattern,
    list_hosts,
    resolve_inventory,
    run_pyinfra,
)

_FACT = "hearth.usage.facts.Usage"
_KINDS = {"user": "user", "api_key": "API key", "address": "address"}
_HEAD = ("day (UTC)", "caller", "", "requests", "seconds", "received", "sent")


def main(arguments: list[str] | None = None) -> int:
    """Read the hosts' access logs, print the sums, and return the exit code."""
    options = make_parser().parse_args(arguments)
    inventory = resolve_inventory(options.inventory)
    try:
        hosts = list_hosts(options.inventory, options.limit, options.timeout)
    except InventoryError as error:
        print(error, file=sys.stderr)
        return 2
    found = {name: _read(inventory, name, options) for name in hosts}
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(format_usage(name, one) for name, one in found.items()))
    return 2 if any(one["error"] for one in found.values()) else 0


def _read(inventory: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """`error` ("" for none) and `usage` of a host, as in the fact."""
    words = [f"days={options.days}"] if options.days else []
    try:
        done = run_pyinfra(
            "--json", inventory, "--limit", limit_pattern(name), "fact", _FACT, *words, timeout=options.timeout
        )
    except subprocess.TimeoutExpired:
        return {"error": f"timed out after {options.timeout:g} s (--timeout)", "usage": []}
    try:
        facts = next(iter(json.loads(done.stdout).values()))[name]
    except (ValueError, KeyError, StopIteration):
        reason = failure_reason(done.stderr) or f"pyinfra exited with {done.returncode}"
        return {"error": reason, "usage": []}
    if not facts["access"]:
        return {"error": "sudo requires a password there; log in as root, or allow sudo without one", "usage": []}
    return {"error": facts["error"], "usage": facts["usage"]}


def format_usage(name: str, found: Mapping[str, Any]) -> str:
    """The usage of a host as a table, or why there is none."""
    if found["error"]:
        return f"{name}: unknown: {found['error']}"
    if not found["usage"]:
        return f"{name}: no requests in the access log"
    rows = [
        (
            one["day"],
            one["caller"],
            _KINDS[one["kind"]] if one["caller"] != "-" else "not recorded",
            str(one["requests"]),
            f"{one['seconds']:.1f}",
            format_bytes(one["received"]),
            format_bytes(one["sent"]),
        )
        for one in found["usage"]
    ]
    return "\n".join([f"{name}:", *_align([_HEAD, *rows])])


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]  # fmt: skip


def format_bytes(count: int) -> str:
    """A number of bytes in the largest unit that leaves at least one: "1.5 MB"."""
    size = float(count)
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} B" if count < 1000 else f"{size:.1f} {units[0]}"


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m hearth.usage`, whose options `hearth usage` has, too."""
    parser = argparse.ArgumentParser(
        prog="python -m hearth.usage",
        description="Sum up the access logs by caller and day. Changes nothing.",
        epilog="Exit codes: 0 every host's log was read; 2 at least one could not be.",
    )
    parser.add_argument("inventory", metavar="INVENTORY", help="as for pyinfra: inventory/pi.py")
    parser.add_argument("--limit", action="append", default=[], metavar="PATTERN", help="only these hosts or groups")
    parser.add_argument("--days", type=_days, metavar="N", help="only today and the days before it, N in total")
    parser.add_argument("--json", action="store_true", help='print {host: {"error": …, "usage": […]}}')
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="per host (default 300)")
    return parser


def _days(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days; write, for example, 7")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
