"""A program of one of the lab's images, run as a container would run it, but without an engine: see container.sh."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import shell

_ENTER = Path(__file__).with_name("container.sh")
_PATH = "/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNSHARE = ("unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--")
_ENDED = "container: the program ended"


@dataclass(frozen=True)
class Done:
    """A command that ran in a container: exit code, and what it said (standard output and error)."""

    code: int
    output: str


class Inside:
    """Runs a program in namespaces of its own until the end of the block, and commands beside it.

    Args:
        words: the command line. Each line of its standard input is a command, which it answers on standard output with
            the exit code, the length of what the command said, and that; it ends with its standard input.
        log: file for what it says on standard error.
        is_ready: asked until it is true.
        patience: seconds that this may take.
    """

    def __init__(self, words: list[str], log: Path, is_ready: Callable[[], bool], patience: float = 20) -> None:
        self._words, self._log, self._is_ready, self._patience = words, log, is_ready, patience
        self._log.touch()
        # httpd opens it as /proc/self/fd/2, as whoever it runs as. (An engine gives its pipes to that user.)
        self._log.chmod(0o666)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        try:
            self._wait_until_ready(self._patience)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log(self) -> str:
        """What the program has said so far."""
        return self._log.read_text(errors="replace")

    def execute(self, command: str) -> Done:
        """Run a line of shell in the container, as `docker exec` would; 80 s at most."""
        assert "\n" not in command, "one line, please"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        code, length = self._read_until_newline().split()
        return Done(int(code), self._read(int(length)).decode(errors="replace"))

    def stop(self) -> None:
        """End the program and all that it started; nothing happens the second time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # what process 1 of the container waits for
        self._process.wait(20)
        self._process.stdout.close()

    def _wait_until_ready(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_ready():
            over = self._process.poll() is not None or _ENDED in self.log()
            if over or time.monotonic() > until:
                what = "ended" if over else f"was not ready within {seconds:.0f} s"
                raise RuntimeError(f"{' '.join(self._words)} {what}:\n{self.log()[-3000:]}")
            time.sleep(0.01)

    def _read_until_newline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1)
        return line

    def _read(self, length: int) -> bytes:
        assert self._process.stdout is not None
        content = b""
        while len(content) < length:
            ready, _, _ = select.select([self._process.stdout], [], [], 90)
            piece = self._process.stdout.read(length - len(content)) if ready else None
            if not piece:
                raise RuntimeError(f"the container gave no answer:\n{self.log()[-3000:]}")
            content += piece
        return content


class Container(Inside):
    """Runs `command` in the root directory `root` until the end of the block.

    Args:
        root: an image's root directory; it stays as it is, what is written goes to memory.
        directory: an empty directory of this container's own: for its log and its mounts.
        hostname: as the program sees it. `ollama` answers calls to that name only if it is its own (it listens on the
            loopback here, where it looks at `Host`; in a real container it does not).
        volumes: where it appears in the container → what is mounted there: a path, or the options of a tmpfs.
        user: who the program runs as; only root has capabilities.
        read_only: whether the root directory can't be written.
        environment: variables beside PATH and HOME.
        is_ready: asked until it is true.
    """

    def __init__(
        self,
        root: Path,
        directory: Path,
        hostname: str,
        command: tuple[str, ...],
        volumes: Mapping[str, Path | str],
        environment: Mapping[str, str],
        is_ready: Callable[[], bool],
        user: str = "root",
        read_only: bool = False,
    ) -> None:
        work = directory / "container"
        work.mkdir()
        variables = {"PATH": _PATH, "HOME": "/root"} | dict(environment)
        words = [
            *shell.sudo(),
            *("env", "-i", *(f"{name}={value}" for name, value in variables.items())),
            *_UNSHARE,
            *("sh", str(_ENTER), str(root), str(work), hostname, user, "ro" if read_only else "rw"),
            *(f"{source}:{target}" for target, source in volumes.items()),
            *("--", *command),
        ]
        super().__init__(words, directory / "log", is_ready)


class Contained:
    """A server whose program runs in a container until the end of the block."""

    _container: Container

    def log(self) -> str:
        """What the program has said so far."""
        return self._container.log()

    def __enter__(self) -> Self:
        self._container.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.__exit__(kind, error, trace)
