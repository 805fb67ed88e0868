"""A program from one of the lab's images, run as in a container, but without an engine: see container.sh."""

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
    """The result of a command in a container: exit code and output (standard output and error)."""

    code: int
    output: str


class Inside:
    """Runs a program in separate namespaces until the end of the block, and commands next to it.

    Args:
        words: the command line. Each line of its standard input is a command; it responds on standard output with the
            exit code, the length of the command's output, and the output. It ends with its standard input.
        log: file for its standard error.
        is_ready: polled until it is true.
        timeout: for that, in seconds.
    """

    def __init__(self, words: list[str], log: Path, is_ready: Callable[[], bool], timeout: float = 20) -> None:
        self._words, self._log, self._is_ready, self._timeout = words, log, is_ready, timeout
        self._log.touch()
        # httpd opens it as /proc/self/fd/2, with its own user. (An engine changes the owner of its pipes.)
        self._log.chmod(0o666)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        try:
            self._wait_until_ready(self._timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log(self) -> str:
        """The program's output so far."""
        return self._log.read_text(errors="replace")

    def execute(self, command: str) -> Done:
        """Run a line of shell in the container, as `docker exec` would; 80 s at most."""
        assert "\n" not in command, "the command must be a single line"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        code, length = self._read_until_newline().split()
        return Done(int(code), self._read(int(length)).decode(errors="replace"))

    def stop(self) -> None:
        """End the program and its children; may be called twice."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # process 1 of the container ends with its input
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
                raise RuntimeError(f"the container did not respond:\n{self.log()[-3000:]}")
            content += piece
        return content


class Container(Inside):
    """Runs `command` in the root directory `root` until the end of the block.

    Args:
        root: an image's root directory; it is not changed, writes go to memory.
        directory: an empty directory for the container's log and mounts.
        hostname: in the container. Ollama only accepts requests to its own host name here (it listens on the loopback,
            where it checks `Host`, unlike in a real container).
        volumes: path in the container → what is mounted there: a path, or the options of a tmpfs.
        user: that the program runs as; only root has capabilities.
        read_only: whether the root directory is read-only.
        network: the name of a network namespace (`ip netns`); "" for the machine's.
        environment: variables in addition to PATH and HOME.
        is_ready: polled until it is true.
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
        network: str = "",
    ) -> None:
        work = directory / "container"
        work.mkdir()
        variables = {"PATH": _PATH, "HOME": "/root"} | dict(environment)
        words = [
            *shell.sudo(),
            *(("ip", "netns", "exec", network) if network else ()),
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
