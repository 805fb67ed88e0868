"""Run the check daily: a systemd user timer, a line for cron, or a property list for launchd. Pure text."""

from __future__ import annotations

import hashlib
import plistlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A daily check.

    Attributes:
        inventory: as `hearth` finds it from `directory`.
        command: the command line of one check.
        directory: where to start it.
        hour, minute: when, in the computer's time.
    """

    inventory: str
    command: Sequence[str]
    directory: Path
    hour: int
    minute: int

    @property
    def name(self) -> str:
        """Of the timer; it differs for each inventory: "hearth-watch-pi-1a2b3c"."""
        digest = hashlib.sha256(str(self.directory / self.inventory).encode()).hexdigest()[:6]
        return f"hearth-watch-{re.sub('[^a-z0-9]+', '-', Path(self.inventory).stem.lower()).strip('-')}-{digest}"


def systemd_service(job: Job) -> str:
    """The service that the timer starts."""
    words = " ".join(_systemd_quote(word) for word in job.command)
    return f"""# Written by `hearth watch`, which also removes it: `hearth watch {job.inventory} --remove`.
[Unit]
Description=Hearth: check the hosts of {job.inventory.replace("%", "%%")}

[Service]
Type=oneshot
WorkingDirectory={str(job.directory).replace("%", "%%")}
ExecStart={words}
# With --repair, a large model may have to be pulled.
TimeoutStartSec=6h
"""


def systemd_timer(job: Job) -> str:
    """The timer. A check that was missed while the computer was off follows at its next start."""
    return f"""# Written by `hearth watch`, which also removes it: `hearth watch {job.inventory} --remove`.
[Unit]
Description=Hearth: daily check of the hosts of {job.inventory.replace("%", "%%")}

[Timer]
OnCalendar=*-*-* {job.hour:02}:{job.minute:02}:00
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
"""


def _systemd_quote(word: str) -> str:
    """A word of `ExecStart=` (systemd.service(5), Command lines)."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'


def cron_line(job: Job) -> str:
    """The line for `crontab -e`. Cron mails what the check prints."""
    command = f"cd {shlex.quote(str(job.directory))} && {shlex.join(job.command)}"
    return f"{job.minute} {job.hour} * * * {command}".replace("%", r"\%")


def launchd_list(job: Job) -> str:
    """The property list for `~/Library/LaunchAgents`."""
    log = str(Path.home() / f"Library/Logs/{job.name}.log")
    content = {
        "Label": job.name,
        "ProgramArguments": list(job.command),
        "WorkingDirectory": str(job.directory),
        "StartCalendarInterval": {"Hour": job.hour, "Minute": job.minute},
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(content, sort_keys=False).decode()
