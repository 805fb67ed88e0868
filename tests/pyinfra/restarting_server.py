"""An ssh server that runs commands on this machine, and that a program called `reboot` restarts. For test_reboot.py.

`restarting_server.py DIRECTORY`: prints its port; the lock that a run holds, and /proc/uptime, are files of the
directory. A process of its own: the tests' has gevent's threads.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from hearth.paths import DEPLOY_LOCK

# Seconds for which a login succeeds and every command ends its connection, as while a host shuts down; then for which
# nothing answers.
_ENDING, _DOWN = 3, 3


class Machine(paramiko.ServerInterface):
    """Lets everybody in, and runs what is asked with the directory's programs first."""

    def __init__(self, directory: Path, booted: float, transport: paramiko.Transport | None = None) -> None:
        self.directory = directory
        self.booted = booted
        self.ending = transport  # to end at a command

    def check_auth_none(self, username: str) -> int:  # noqa: ARG002
        return int(AUTH_SUCCESSFUL)

    def check_auth_password(self, username: str, password: str) -> int:  # noqa: ARG002
        return int(AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "none,password"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return int(OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self.ending:
            self.ending.close()
            return False
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        # It goes on, as a real one does: by it pyinfra tells a host that is not down yet from one that is back.
        (self.directory / "uptime").write_text(f"{time.monotonic() - self.booted:.2f} 1.00\n")
        for path, name in (("/proc/uptime", "uptime"), (DEPLOY_LOCK, "lock")):
            command = command.replace(path, str(self.directory / name))
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=self.directory,
            env={"PATH": f"{self.directory}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stderr
        threading.Thread(target=self._pass_input, args=(channel, process), daemon=True).start()
        with contextlib.suppress(OSError):
            for piece in iter(lambda: os.read(process.stdout.fileno(), 4096), b""):  # type: ignore[union-attr]
                channel.sendall(piece)
            channel.sendall_stderr(process.stderr.read())
            channel.send_exit_status(process.wait())
            channel.close()

    @staticmethod
    def _pass_input(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        with contextlib.suppress(OSError):
            while piece := channel.recv(4096):
                process.stdin.write(piece)
                process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()


def serve(listener: socket.socket, directory: Path, key: paramiko.PKey, booted: float) -> None:
    """Answer until `reboot` was called, and end every connection then."""
    transports: list[paramiko.Transport] = []
    listener.settimeout(0.1)
    ends = float("inf")
    while time.monotonic() < ends:
        if ends == float("inf") and (directory / "rebooting").exists():
            ends = time.monotonic() + _ENDING
            for transport in transports:
                transport.close()
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                ending = transport if ends < float("inf") else None
                transport.start_server(event=threading.Event(), server=Machine(directory, booted, ending))
            transports.append(transport)
    listener.close()
    for transport in transports:
        transport.close()


def main() -> None:
    directory = Path(sys.argv[1])
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    print(port, flush=True)
    booted = time.monotonic() - 100000
    while True:
        serve(listener, directory, key, booted)
        time.sleep(_DOWN)
        booted = time.monotonic()
        (directory / "rebooting").unlink()
        listener = socket.create_server(("127.0.0.1", port))


if __name__ == "__main__":
    main()
