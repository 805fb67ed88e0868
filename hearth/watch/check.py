"""One check of an inventory's hosts: compare, repair if asked to, and send what was found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hearth.drift.__main__ import inspect_hosts, make_parser
from hearth.drift.verdict import Verdict, exit_code, format_verdict
from hearth.paths import CHECKOUT
from hearth.runtime.pyinfra_process import InventoryError, failure_reason, limit_pattern
from hearth.settings.secret_source import Source
from hearth.watch.notify import NotifyError, read_urls, send
from hearth.watch.report import Repair, Report, Sent, is_due

# Seconds for the repair of one host: it may pull a large model.
_REPAIR_TIMEOUT = 4 * 3600


def check_once(inventory: str, name: str, *, repair: bool, sources: Sequence[Source]) -> int:
    """Check the hosts now, print the verdicts, and send a message if one is due.

    Args:
        inventory: as `hearth` finds it from the checkout.
        name: of the inventory's state file.
        sources: of the URLs to send to.

    Returns:
        the exit code of `hearth drift`, 0 for a host that was repaired, 2 if a message could not be sent.

    Raises:
        NotifyError: a URL can't be read. Nothing was checked.
    """
    urls = read_urls(sources)
    try:
        verdicts = inspect_hosts(make_parser().parse_args([inventory]))
    except InventoryError as error:
        verdicts = {inventory: Verdict("unknown", (str(error),))}
    for host, verdict in verdicts.items():
        print(format_verdict(host, verdict), flush=True)
    drifted = [host for host, verdict in verdicts.items() if verdict.state == "differs"]
    repairs = {host: _repair(inventory, host) for host in drifted} if repair else {}
    report = Report(inventory, verdicts, repairs)
    repaired = {host for host, one in repairs.items() if not one.problem}
    code = exit_code(verdict for host, verdict in verdicts.items() if host not in repaired)
    return code if _send(report, urls, _state_file(name)) else 2


def _repair(inventory: str, host: str) -> Repair:
    """Deploy to one host."""
    print(f"{host}: deploying …", flush=True)
    words = ["-m", "hearth.cli.pyinfra_main", inventory, "deploy.py", "-y", "--limit", limit_pattern(host)]
    try:
        done = subprocess.run(
            [sys.executable, *words], cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=_REPAIR_TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Repair(f"it did not end within {_REPAIR_TIMEOUT // 3600} hours")
    print(done.stdout, flush=True)
    if done.returncode == 0:
        return Repair()
    return Repair(
        failure_reason(done.stdout) or f"hearth deploy ended with {done.returncode}; its output is in the log"
    )


def _send(report: Report, urls: Sequence[str], state_file: Path) -> bool:
    """Send the report if it is due. False if that failed; the next check tries again."""
    if not urls:
        return True
    now = datetime.now(UTC)
    if not is_due(report, _read_state(state_file), now):
        return True
    try:
        send(urls, report.title, report.text)
    except NotifyError as error:
        print(error, file=sys.stderr)
        return False
    print(f"sent: {report.title}")
    state_file.parent.mkdir(parents=True, exist_ok=True)
    content = {"subject": report.subject, "at": now.isoformat()}
    new = state_file.with_suffix(".new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(state_file)
    return True


def _state_file(name: str) -> Path:
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return base / "hearth" / f"{name}.json"


def _read_state(path: Path) -> Sent | None:
    """The last message, or None if there is none, or the file is damaged: then one is sent too many."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Sent(str(content["subject"]), datetime.fromisoformat(content["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
