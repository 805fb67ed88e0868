"""A small client of QEMU's monitor protocol (QMP) over the unix socket in a checkout's state directory."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.errors import LabError


class Monitor:
    """A connection to one QEMU."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._next()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, timeout: float = 30, **arguments: Any) -> Any:
        """Run one QMP command; its return value. LabError if QEMU refuses it, or after `timeout` seconds."""
        self._connection.settimeout(timeout)
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._next()
            if "error" in message:
                raise LabError(f"QEMU refused {command}: {message['error'].get('desc', message['error'])}")
            if "return" in message:
                return message["return"]
            # anything else is an event

    def human(self, line: str, timeout: float = 30) -> str:
        """Run one line of the human monitor, for commands that QMP only has as long-running jobs; its output."""
        return str(self.execute("human-monitor-command", timeout, **{"command-line": line})).strip()

    def close(self) -> None:
        """Close the connection: QEMU accepts one client at a time, and an open file keeps a closed socket alive."""
        self._lines.close()
        self._connection.close()

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise LabError(f"QEMU's monitor does not respond: {error}") from error
        if not line:
            raise LabError("QEMU ended during a monitor command.")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def monitor(directory: Path) -> Iterator[Monitor]:
    """Connect to the QEMU whose socket is `directory`/qmp.sock."""
    # A socket's path is limited to 107 bytes and a checkout's may be longer: connect through the open directory.
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(30)
        connection.connect(f"/proc/self/fd/{folder}/qmp.sock")
        opened = Monitor(connection)
        try:
            yield opened
        finally:
            opened.close()
    except OSError as error:
        raise LabError(f"Could not connect to QEMU's monitor in {directory}: {error}") from error
    finally:
        connection.close()
        os.close(folder)
