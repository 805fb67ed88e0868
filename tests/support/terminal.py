"""Runs of pyinfra as `hearth deploy` starts them: in a terminal, or without one."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.support.shipped import PROJECT

PROMPT = "sudo password:"
CONFIRM = "Press enter to execute"


def pyinfra(*words: str) -> subprocess.CompletedProcess[str]:
    """Run pyinfra as `hearth deploy` does, without a terminal."""
    return subprocess.run(
        _words(*words), cwd=PROJECT, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=240, check=False, start_new_session=True,
    )  # fmt: skip


def pyinfra_in_terminal(
    *words: str, answers: Sequence[tuple[str, str]], stop_at: str = "", kill_at: str = "", timeout: float = 240
) -> tuple[int, str]:
    """Run it in a terminal: its exit code and what it shows.

    Args:
        answers: prompts, in order, and what is typed at them.
        stop_at: press Ctrl-C once this appears, and again until it is noticed.
        kill_at: kill it once this appears.
    """
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(PROJECT)
        os.execve(sys.executable, _words(*words), _environment())
    left, shown, seen, deadline = list(answers), "", 0, time.monotonic() + timeout
    next_stop = 0.0
    try:
        while time.monotonic() < deadline:
            # Again, as people do: a signal between the printing of a prompt and the wait for input doesn't end it.
            if stop_at and stop_at in shown and "Interrupted." not in shown and time.monotonic() > next_stop:
                next_stop = time.monotonic() + 2
                os.write(terminal, b"\x03")
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the terminal's end
                break
            shown += piece.decode(errors="replace")
            # Not before the prompt: a password prompt discards what was typed earlier.
            if left and left[0][0] in shown[seen:]:
                seen = len(shown)
                os.write(terminal, f"{left.pop(0)[1]}\n".encode())
            if kill_at and kill_at in shown:
                break
        if kill_at or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    return os.waitstatus_to_exitcode(status), re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).replace("\r\n", "\n")


def _words(*words: str) -> list[str]:
    return [sys.executable, "-m", "hearth.cli.pyinfra_main", *words]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PROJECT), "PYINFRA_PROGRESS": "off"}
