"""Start a checkout's servers on this machine's loopback, and wait until they respond."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from lab import process, shell
from lab.errors import LabError


def serve(argv: Sequence[str | Path], log: Path, directory: Path, url: str, name: str) -> int:
    """Start a server; its pid, once `url` responds.

    Args:
        directory: its working directory. The path must be in the command line, which identifies the process later.
        name: for the error message, which includes the end of the log.
    """
    pid = process.start(argv, log, directory)
    until = time.monotonic() + 20
    while not responds(url):
        if time.monotonic() > until or not process.is_ours(pid, str(directory)):
            process.end(pid, str(directory))
            raise LabError(f"The {name} does not respond at {url}:\n{shell.tail(log)}\nFull log: {log}")
        time.sleep(0.05)
    return pid


def responds(url: str) -> bool:
    """Whether a server responds there with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
