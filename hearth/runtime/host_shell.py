"""Commands on hosts: in English, and without what a login shell prints around them.

sshd passes each command to the user's login shell, which first runs its start-up files. Their output (`echo Welcome` in
`.bashrc`) would become part of the command's, also of an archive or of the deploy lock. So each command prints a mark
before and after its own output, and only what is between the marks is read. The shell may be any (bash, zsh, fish,
tcsh): it only starts `sh`, with words that all of them quote alike.

The locale is C.UTF-8, since output is parsed, and some messages of apt are recognized by their English text. LANGUAGE
is emptied, too: with it, Debian 12 translates even in C.UTF-8. A host without C.UTF-8 falls back to C, also English.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from typing import Any

from pyinfra.connectors import local, ssh
from pyinfra.context import ctx_config
from typing_extensions import override

_LOCALE = "LC_ALL=C.UTF-8 LANGUAGE="
_EXPORT = f"export {_LOCALE}"
# The shell that pyinfra starts, with sudo or without: sudo may not pass the variables on, or load the host's (pam_env).
SHELL = f"env {_LOCALE} sh"
# Decodes its argument and runs it.
_START = """sh -c 'eval "$(printf %b "$0")"'"""
# Characters that some shell treats specially even within single quotes, as escapes of printf's %b.
_ESCAPES = str.maketrans({char: f"\\0{ord(char):03o}" for char in "\\'!\n"})
_CHUNK = 1 << 17


def install_host_shell() -> None:
    """Run every command of pyinfra, on every host of this process, as this module describes."""
    ctx_config.get().SHELL = SHELL  # type: ignore[no-untyped-call]
    ssh.SSHClient = HostClient  # type: ignore[misc]
    local.run_local_process = _run_local_process


def new_token() -> str:
    """A token for the marks of one command."""
    return secrets.token_hex(12)


def in_english(line: str) -> str:
    """A line for `sh` that runs in English."""
    return f"{_EXPORT}; {line}"


def marked_command(command: str, token: str, *, has_errors: bool = True) -> str:
    """The line for a login shell that runs a command for `sh` between marks.

    Args:
        token: part of the marks. They are put together on the host, so that a shell that prints its commands (`set -x`)
            does not print a mark.
        has_errors: whether standard error is separate from standard output, and is marked as well.
    """
    begin, end = (f"printf %s-%s {word} {token}" for word in ("begin", "end"))
    if has_errors:
        begin, end = f"{begin}; {begin} >&2", f"{end}; {end} >&2"
    program = f"{_EXPORT}\n{begin}\n(\n{command}\n)\ncode=$?\n{end}\nexit $code"
    return f"{_START} '{program.translate(_ESCAPES)}'"


class _Marked(io.RawIOBase):
    """What a stream has between the marks; all of it if the first one never comes, since that says what went wrong."""

    def __init__(self, receive: Callable[[int], bytes], token: str) -> None:
        self._receive = receive
        self._begin, self._end = f"begin-{token}".encode(), f"end-{token}".encode()
        self._begun = self._over = False
        # Read and not yet passed on: all before the first mark, then what may be the beginning of the second one.
        self._held = b""
        self._ready = b""

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._over:
            self._ready = self._next()
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _next(self) -> bytes:
        piece = self._receive(_CHUNK)
        held, self._held = self._held + piece, b""
        if not piece:
            self._over = True
            return held
        if not self._begun:
            before, self._begun, held = _partition(held, self._begin)
            if not self._begun:
                self._held = before
                return b""
        content, self._over, _ = _partition(held, self._end)
        if self._over:
            return content
        kept = next((n for n in range(len(self._end) - 1, 0, -1) if content.endswith(self._end[:n])), 0)
        self._held = content[len(content) - kept :]
        return content[: len(content) - kept]


def _partition(text: bytes, mark: bytes) -> tuple[bytes, bool, bytes]:
    before, found, after = text.partition(mark)
    return before, bool(found), after


class HostOutput(io.BufferedReader):
    """A command's output or error output, as bytes. `channel` is paramiko's, as pyinfra expects it."""

    def __init__(self, channel: Any, receive: Callable[[int], bytes], token: str) -> None:
        super().__init__(_Marked(receive, token), _CHUNK)
        self.channel = channel


class HostClient(ssh.SSHClient):
    """pyinfra's ssh client, with commands as this module describes."""

    @override
    def exec_command(  # type: ignore[override]
        self, command: str, bufsize: int = -1, timeout: float | None = None, get_pty: bool = False, **options: Any
    ) -> tuple[Any, HostOutput, HostOutput]:
        token = new_token()
        line = marked_command(command, token, has_errors=not get_pty)
        stdin, stdout, _ = super().exec_command(line, bufsize, timeout, get_pty, **options)
        channel = stdout.channel
        return stdin, HostOutput(channel, channel.recv, token), HostOutput(channel, channel.recv_stderr, token)


_run_in_users_language = local.run_local_process


def _run_local_process(command: str, *arguments: Any, **options: Any) -> Any:
    return _run_in_users_language(in_english(command), *arguments, **options)
