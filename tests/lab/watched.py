"""A deploy whose output is watched, to act on the host at a chosen moment."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.lab.machine import INVENTORY, PYINFRA, ROOT


@dataclass(frozen=True)
class Moment:
    """`after` seconds after the first line of output that matches the regular expression `line`."""

    line: str
    after: float = 0.0


@dataclass(frozen=True)
class Watched:
    """The result: exit code (None if it was killed), moments that were reached, output, seconds in total."""

    code: int | None
    reached: tuple[str, ...]
    output: str
    seconds: float


def watch(
    moments: Mapping[str, Moment], act: Callable[[str], None], *data: str, timeout: float = 900, log: bool = False
) -> Watched:
    """Deploy to the lab, and call `act(name)` at each moment. `data`: settings as for `machine.deploy`.

    After `timeout` seconds the deploy is killed.
    """
    arguments = [word for item in data for word in ("--data", item)]
    begun = time.monotonic()
    deploy = subprocess.Popen(
        [PYINFRA, "-y", *arguments, INVENTORY, "deploy.py"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(deploy, lines), daemon=True).start()
    due: dict[str, float] = {}
    reached: list[str] = []
    output: list[str] = []
    ended = False
    while not ended:
        now = time.monotonic()
        for name in sorted((name for name, when in due.items() if when <= now), key=lambda name: due[name]):
            del due[name]
            reached.append(name)
            act(name)
        if now - begun > timeout:
            deploy.kill()
        try:
            line = lines.get(timeout=min([1.0, *(max(when - time.monotonic(), 0.01) for when in due.values())]))
        except queue.Empty:
            continue
        ended = line is None
        if line is not None:
            output.append(line)
            if log:
                print(f"  {time.monotonic() - begun:6.1f} {line}", end="", flush=True)
            for name, moment in moments.items():
                if name not in due and name not in reached and re.search(moment.line, line):
                    due[name] = time.monotonic() + moment.after
    code = deploy.wait()
    return Watched(None if code == -9 else code, tuple(reached), "".join(output), time.monotonic() - begun)


def _read(deploy: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert deploy.stdout is not None
    for line in deploy.stdout:
        lines.put(line)
    lines.put(None)
