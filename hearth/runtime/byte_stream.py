"""Stream any amount of bytes to and from a command on a host.

pyinfra's own commands hold all input and output in memory, as lines of text, and its file transfers with sudo first
make a copy on the host. Models have gigabytes, and a Pi's card may lack the space for two copies.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from hearth.runtime.host_shell import in_english

CHUNK = 1 << 17


class ChannelError(OSError):
    """The command on the host failed, or the connection to it did."""


class Reader:
    """Standard output of a command on a host."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        pieces = []
        while size > 0 and (piece := self._stream.read(min(size, CHUNK))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


@contextmanager
def _running(state: State, host: Host, script: str, arguments: dict[str, Any]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A running command: (its standard input, its standard output). It must succeed in the end.

    Raises:
        ChannelError: it failed; with the last line of its output.
    """
    options = {name: value for name, value in arguments.items() if name not in ("_get_pty", "_timeout", "_stdin")}
    options.pop("_success_exit_codes", None)
    command = make_unix_command_for_host(state, host, StringCommand(script), **options).get_raw_value()
    connector = host.connector
    if isinstance(connector, SSHConnector):
        assert connector.client is not None
        stdin, stdout, stderr = connector.client.exec_command(command, bufsize=CHUNK)
        try:
            yield cast("IO[bytes]", stdin), cast("IO[bytes]", stdout)
            stdin.channel.shutdown_write()
            # Unread output would keep the command from exiting.
            while stdout.read(CHUNK):
                pass
            code, errors = stdout.channel.recv_exit_status(), stderr.read(1 << 16)
        finally:
            stdin.channel.close()
    elif isinstance(connector, LocalConnector):
        pipe = subprocess.PIPE
        with subprocess.Popen(in_english(command), shell=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            yield process.stdin, process.stdout
            process.stdin.close()
            errors = process.stderr.read()
            code = process.wait()
    else:
        raise ChannelError(f"can't stream data over {type(connector).__name__}; use ssh")
    if code:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise ChannelError(f"the command on the host failed with exit code {code}: {last[0]}")


@contextmanager
def read_from(state: State, host: Host, script: str, arguments: dict[str, Any]) -> Iterator[Reader]:
    """Standard output of a shell script on the host.

    Args:
        arguments: pyinfra's connection arguments (`_sudo`).

    Raises:
        ChannelError: the script failed; raised when the block ends.
    """
    with _running(state, host, script, arguments) as (_, stdout):
        yield Reader(stdout)


def write_to(state: State, host: Host, script: str, arguments: dict[str, Any], source: IO[bytes]) -> None:
    """Run a shell script on the host, with the content of `source` as its standard input.

    Raises:
        ChannelError: the script failed, or the connection did.
    """
    with _running(state, host, script, arguments) as (stdin, _):
        try:
            while piece := source.read(CHUNK):
                stdin.write(piece)
            stdin.flush()
        except OSError as error:
            # The script exited before it read everything; its exit code and output, which follow, are more specific.
            if not isinstance(error, BrokenPipeError) and "closed" not in str(error).lower():
                raise


def ask(state: State, host: Host, script: str, arguments: dict[str, Any], given: bytes) -> bytes:
    """Standard output of a shell script on the host (up to 64 KiB), with `given` as its standard input.

    Both are short: the script reads all of its input before it prints.

    Raises:
        ChannelError: the script failed, or the connection did.
    """
    with _running(state, host, script, arguments) as (stdin, stdout):
        stdin.write(given)
        stdin.flush()
        return Reader(stdout).read(1 << 16)
