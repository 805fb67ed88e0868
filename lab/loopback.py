"""Servers of one checkout on this machine's loopback: started, and waited for until they answer."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from lab import process, shell
from lab.errors import LabError


def serve(argv: Sequence[str | Path], log: Path, directory: Path, url: str, name: str) -> int:
    """Start a server; its pid, once `url` answers.

    Args:
        directory: where it runs. Its path must be in the command line, by which the process is known again.
        name: for the error, which has the end of the log.
    """
    pid = process.start(argv, log, directory)
    until = time.monotonic() + 20
    while not answers(url):
        if time.monotonic() > until or not process.is_ours(pid, str(directory)):
            process.end(pid, str(directory))
            raise LabError(f"The {name} does not answer at {url}:\n{shell.tail(log)}\nThe whole log: {log}")
        time.sleep(0.05)
    return pid


def answers(url: str) -> bool:
    """Whether a server answers there, and with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
