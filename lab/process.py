"""Background processes of one checkout: started detached, identified by pid and command line, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def start(argv: Sequence[str | Path], log: Path, cwd: Path) -> int:
    """Start a command that outlives this one, its output in `log`; its pid."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            start_new_session=True,
        )
    # The new command line, by which we identify the process, becomes readable a moment later.
    until = time.monotonic() + 10
    while process.poll() is None and not is_ours(process.pid, str(argv[0])) and time.monotonic() < until:
        time.sleep(0.005)
    return process.pid


def is_ours(pid: int, mark: str) -> bool:
    """Whether the pid is alive and its command line contains `mark` (pids are reused: never trust a number alone)."""
    try:
        return mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end(pid: int, mark: str, deadline: float = 10) -> None:
    """Send SIGTERM, after `deadline` seconds SIGKILL. A process that is not ours gets no signal."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if not is_ours(pid, mark):
            break
        os.kill(pid, signal_number)
        if has_ended(pid, mark, deadline):
            break
    with contextlib.suppress(ChildProcessError):  # init has waited for it, unless it was our own child
        os.waitpid(pid, os.WNOHANG)


def has_ended(pid: int, mark: str, deadline: float) -> bool:
    """Poll until the process has ended; False after `deadline` seconds."""
    until = time.monotonic() + deadline
    while is_ours(pid, mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
