"""A host's Docker engine for the Docker SDK, through ssh and sudo.

The SDK's ssh transport supports neither a separate ssh configuration nor sudo, so each of its connections is a local
socket behind which `ssh … sudo docker system dial-stdio` runs: the same command that `docker -H ssh://` uses.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import docker

from hearth.runtime.host_shell import HostOutput, marked_command, new_token


class _Handler(socketserver.BaseRequestHandler):
    """One connection of the SDK, forwarded to and from the command."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        token = new_token()
        command = [*self.server.ssh, marked_command(self.server.command, token)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        output = HostOutput(None, process.stdout.read1, token)  # type: ignore[attr-defined]
        back = threading.Thread(target=self._copy_back, args=(output,), daemon=True)
        back.start()
        try:
            while data := self.request.recv(65536):
                process.stdin.write(data)
                process.stdin.flush()
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.terminate()
            process.wait(10)

    def _copy_back(self, output: HostOutput) -> None:
        with contextlib.suppress(OSError):
            while data := output.read1(65536):
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, ssh: list[str], command: str) -> None:
        super().__init__(path, _Handler)
        self.ssh, self.command = ssh, command


@contextlib.contextmanager
def engine_tunnel(ssh: tuple[str, ...], sudo: bool) -> Iterator[docker.DockerClient]:
    """A Docker SDK client for the engine at the other end of an ssh command line; closed at the end."""
    with tempfile.TemporaryDirectory(prefix="hearth-") as directory:
        shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={directory}/ssh", "-o", "ControlPersist=60"]
        dial = f"{'sudo -n ' if sudo else ''}docker system dial-stdio"
        path = str(Path(directory) / "docker.sock")
        with _Server(path, [*ssh[:-1], *shared, ssh[-1]], dial) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            client = docker.DockerClient(base_url=f"unix://{path}", timeout=120)
            try:
                yield client
            finally:
                client.close()
                server.shutdown()
                subprocess.run(
                    [*ssh[:-1], *shared, "-O", "exit", ssh[-1]], check=False, capture_output=True, timeout=10
                )
