"""Stages at the same time: each lane runs its own in order. The first failure, or Ctrl-C, ends all of them.

A stage's output is shown when the stage ends, so that those of several lanes do not mix; until then, a line every half
minute says what is running, and the last thing it printed.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

Stage = tuple[str, Callable[[], None]]
Times = list[tuple[str, float]]

HEARTBEAT_SECONDS = 30.0
# From a signal until the next, stronger one. A test that is interrupted still stops what it started.
PATIENCE = ((signal.SIGINT, 45.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))


class Interrupted(Exception):
    """Another lane has failed, so this one starts nothing more."""


@dataclass(frozen=True)
class _Ended:
    title: str
    seconds: float
    output: str
    error: BaseException | None


@dataclass
class Lanes:
    """The commands that run, and the stages that they belong to."""

    stopping: threading.Event = field(default_factory=threading.Event)
    ended: queue.Queue[_Ended] = field(default_factory=queue.Queue)
    running: dict[str, tuple[float, BinaryIO]] = field(default_factory=dict)
    processes: set[subprocess.Popen[bytes]] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def start(self, words: Sequence[str], output: BinaryIO, cwd: Path, env: Mapping[str, str] | None) -> int:
        """Run a command and return its exit code."""
        with self.guard:  # so that `stop` misses none
            if self.stopping.is_set():
                raise Interrupted
            # In this process group: a terminal's Ctrl-C reaches it, and sudo knows the terminal.
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env)
            self.processes.add(process)
        try:
            return process.wait()
        finally:
            self.processes.discard(process)

    def stop(self, signalled: bool = False) -> None:
        """End all commands. `signalled`: they have received the terminal's SIGINT, and a second one would hurt."""
        with self.guard:
            self.stopping.set()
        for number, patience in PATIENCE:
            if not (signalled and number == signal.SIGINT):
                for process in tuple(self.processes):
                    with suppress(ProcessLookupError):
                        process.send_signal(number)
            deadline = time.monotonic() + patience
            while self.processes and time.monotonic() < deadline:
                time.sleep(0.05)

    def follow(self, stages: Sequence[Stage]) -> None:
        """Run the stages of one lane; each ends up in `ended`."""
        for title, stage in stages:
            begun, error = time.monotonic(), None
            with tempfile.TemporaryFile() as output:
                self.running[title] = (begun, output)
                token = _current.set((self, output))
                try:
                    stage()
                except BaseException as raised:
                    error = raised
                finally:
                    _current.reset(token)
                    del self.running[title]
                output.seek(0)
                text = output.read().decode(errors="replace")
            self.ended.put(_Ended(title, time.monotonic() - begun, text, error))
            if error is not None:
                return

    def heartbeat(self) -> str:
        """What is running, for how long, and the last line of its output."""
        now = time.monotonic()
        lines = []
        for title, (begun, output) in tuple(self.running.items()):
            with suppress(OSError, ValueError):  # it has just ended
                # Not through its position, at which the command writes.
                size = os.fstat(output.fileno()).st_size
                end = os.pread(output.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
                last = next((line for line in reversed(end.splitlines()) if line.strip()), "")
                lines.append(f"  … {now - begun:4.0f} s  {title}{': ' if last else ''}{last.strip()[-100:]}")
        return "\n".join(lines)


_current: ContextVar[tuple[Lanes, BinaryIO] | None] = ContextVar("current", default=None)


def execute(words: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> int:
    """Run a command, within a lane with the output of its stage; its exit code.

    Raises:
        Interrupted: another lane has failed.
    """
    if here := _current.get():
        return here[0].start(words, here[1], cwd, env)
    return subprocess.run(words, cwd=cwd, check=False, env=env).returncode


def say(text: str) -> None:
    """Print a line, within a lane to the output of its stage."""
    if here := _current.get():
        os.write(here[1].fileno(), f"{text}\n".encode())
    else:
        print(text, flush=True)


def run_lanes(lanes: Sequence[Sequence[Stage]], times: Times) -> None:
    """Run lanes at the same time; append each stage's title and seconds to `times` when it ends.

    Raises:
        BaseException: what the first stage that failed raised, once all others have ended.
    """
    state = Lanes()
    threads = [threading.Thread(target=state.follow, args=(stages,)) for stages in lanes]
    for thread in threads:
        thread.start()
    try:
        for _ in range(sum(len(stages) for stages in lanes)):
            one = _next(state)
            times.append((one.title, one.seconds))
            if one.error is not None:
                _end(state)
            _show(one)
            if one.error is not None:
                raise one.error
    except BaseException as error:
        _end(state, signalled=isinstance(error, KeyboardInterrupt))
        raise
    finally:
        for thread in threads:
            thread.join()


def _next(state: Lanes) -> _Ended:
    while True:
        try:
            return state.ended.get(timeout=HEARTBEAT_SECONDS)
        except queue.Empty:
            print(state.heartbeat(), flush=True)


def _end(state: Lanes, signalled: bool = False) -> None:
    if titles := ", ".join(state.running):
        print(f"\nEnding what still runs: {titles}", flush=True)
        state.stop(signalled)


def _show(one: _Ended) -> None:
    # One write, so that nothing comes in between.
    sys.stdout.write(f"\n=== {one.title}: {one.seconds:.0f} s ===\n{one.output}")
    sys.stdout.flush()
