"""Running commands: always with a timeout, output in a log, root through sudo if needed."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

_running: set[subprocess.Popen[bytes]] = set()
_guard = threading.Lock()
_stopping = threading.Event()  # never cleared: the interrupted command of the lab is ending


def sudo() -> list[str]:
    """The prefix of a command that needs root; empty if this is root."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a text file; empty if it is missing."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def run(
    argv: Sequence[str | Path],
    log: Path,
    timeout: float,
    root: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    ends_with_stdin: bool = False,
) -> None:
    """Run a command, appending its output to `log`; LabError with the log's end if it fails or times out.

    `timeout` is in seconds. `env` adds to this process's environment (sudo drops it). `ends_with_stdin`: the command
    ends when its standard input is closed (recipes/enter.sh).
    """
    words = [*(sudo() if root else []), *map(str, argv)]
    shown = shlex.join(words)
    if _stopping.is_set():
        raise LabError(f"{shown} was not started: the build was interrupted.")
    with log.open("ab") as out:
        out.write(f"$ {shown}\n".encode())
        out.flush()
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if ends_with_stdin else subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
        with _guard:
            _running.add(process)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _stop(process)
            raise LabError(f"{shown} timed out after {timeout:.0f} s\n{tail(log)}\nFull log: {log}") from None
        except BaseException:
            _stop(process)
            raise
        finally:
            if process.stdin:
                process.stdin.close()
            with _guard:
                _running.discard(process)
    if code:
        raise LabError(f"{shown} failed (exit code {code})\n{tail(log)}\nFull log: {log}")


def read(argv: Sequence[str | Path], timeout: float = 30, root: bool = False) -> str:
    """Standard output of a short command; LabError with its standard error if it fails."""
    words = [*(sudo() if root else []), *map(str, argv)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{shlex.join(words)}: {error}") from error
    if done.returncode:
        raise LabError(f"{shlex.join(words)} failed (exit code {done.returncode}): {done.stderr.strip()[-2000:]}")
    return done.stdout


def stop_all() -> None:
    """End every command started by `run` that still runs: an interrupted build must not continue in the background."""
    _stopping.set()
    with _guard:
        left = list(_running)
    for process in left:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    else:
        process.terminate()  # sudo passes it on
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
