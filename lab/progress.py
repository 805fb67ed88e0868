"""The lab's progress output: one line per stage with its duration, and a summary at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Stages:
    """Names and times the stages of one command; safe to use from several threads.

    On a terminal each running stage is a live line (rich); elsewhere a plain line at its start and at its end.
    All output goes to standard error; standard output is for scripts.
    """

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []
        self._guard = threading.Lock()
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Stages:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                SpinnerColumn(finished_text="✓"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """Show `what` while the block runs, and record its duration."""
        began = time.monotonic()
        task = self._progress.add_task(what, total=1) if self._progress else None
        if task is None:
            self.log(f"{what} …")
        try:
            yield
        except BaseException:
            if self._progress and task is not None:
                self._progress.update(task, description=f"[red]{what}: failed[/red]")
                self._progress.stop_task(task)
            raise
        duration = time.monotonic() - began
        with self._guard:
            self.times.append((what, duration))
        if self._progress and task is not None:
            self._progress.update(task, completed=1)
        else:
            self.log(f"{what}: done in {duration:.1f} s")

    def log(self, text: str) -> None:
        """Print a line between the stages."""
        if self._progress:
            self._progress.console.print(text, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def summary(self) -> str:
        """A table of stages and seconds, longest first, with the wall-clock total."""
        rows = sorted(self.times, key=lambda row: -row[1])
        lines = [f"{duration:8.1f} s  {what}" for what, duration in rows]
        lines.append(f"{time.monotonic() - self._began:8.1f} s  in total (stages overlap)")
        return "\n".join(lines)
