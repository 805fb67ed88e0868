"""Install the daily check on this computer, or print what its scheduler needs."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hearth.watch.schedule import Job, cron_line, launchd_list, systemd_service, systemd_timer

Scheduler = Literal["systemd", "cron", "launchd"]


class ScheduleError(Exception):
    """The timer can't be installed or removed; the message says why and what to do."""


def find_scheduler() -> Scheduler:
    """launchd on macOS; systemd where the user's own instance runs; else cron."""
    if sys.platform == "darwin":
        return "launchd"
    return "systemd" if _systemctl("show-environment") is None else "cron"


def install(job: Job, scheduler: Scheduler) -> str:
    """Install the timer (systemd), or return what to install (cron, launchd).

    Returns:
        what was done, or is to be done: text for the user.

    Raises:
        ScheduleError: systemd refuses it.
    """
    if scheduler == "cron":
        return f"Add this line with `crontab -e`; cron mails what it prints:\n\n{cron_line(job)}"
    if scheduler == "launchd":
        where = f"~/Library/LaunchAgents/{job.name}.plist"
        return (
            f"Save this as {where}, then run `launchctl bootstrap gui/$(id -u) {where}`. "
            f"To remove it: `launchctl bootout gui/$(id -u)/{job.name}`.\n\n{launchd_list(job)}"
        )
    units = _units(job)
    units[0].parent.mkdir(parents=True, exist_ok=True)
    for path, text in zip(units, (systemd_service(job), systemd_timer(job)), strict=True):
        path.write_text(text, encoding="utf-8")
    for words in (("daemon-reload",), ("enable", "--now", f"{job.name}.timer")):
        if (problem := _systemctl(*words)) is not None:
            raise ScheduleError(f"systemctl --user {' '.join(words)}: {problem}")
    lines = [
        f"Installed {job.name}.timer: checks daily at {job.hour:02}:{job.minute:02}.",
        f"What it finds: journalctl --user -u {job.name}",
    ]
    if _does_not_linger():
        lines.append(
            "It runs only while you are logged in. To change that, run "
            f"`sudo loginctl enable-linger {getpass.getuser()}`."
        )
    return "\n".join(lines)


def remove(job: Job) -> str:
    """Stop and delete the timer; another scheduler's entry is the user's.

    Returns:
        what was done.

    Raises:
        ScheduleError: systemd refuses it.
    """
    units = [path for path in _units(job) if path.exists()]
    if not units:
        return (
            f"There is no systemd timer for {job.inventory}. An entry of cron or launchd is yours to remove "
            f"(`crontab -e`, or `launchctl bootout gui/$(id -u)/{job.name}`)."
        )
    if (problem := _systemctl("disable", "--now", f"{job.name}.timer")) is not None:
        raise ScheduleError(f"systemctl --user disable --now {job.name}.timer: {problem}")
    for path in units:
        path.unlink()
    _systemctl("daemon-reload")
    return f"Removed {job.name}.timer."


def _units(job: Job) -> list[Path]:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [base / f"systemd/user/{job.name}.{kind}" for kind in ("service", "timer")]


def _systemctl(*words: str) -> str | None:
    """None, or why `systemctl --user` failed."""
    return _problem(["systemctl", "--user", *words])


def _problem(words: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip() or f"it ended with {done.returncode}"


def _does_not_linger() -> bool:
    words = ["loginctl", "show-user", getpass.getuser(), "--property=Linger", "--value"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == "no"
