"""Uploads to a real Dropbear, the small ssh server of DietPi, which often has no SFTP.

Dropbear runs in a mount namespace with its own /root, as the only user who is sure to exist.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.connectors import local, ssh
from pyinfra.context import ctx_config

from hearth.runtime.byte_stream import write_to
from hearth.runtime.host_shell import install_host_shell
from tests.pyinfra.confined import missing_privileges

SFTP = Path("/usr/lib/sftp-server")


@pytest.fixture(autouse=True)
def _possible() -> None:
    if why := missing_privileges() or ("" if shutil.which("dropbear") and SFTP.exists() else "no Dropbear and SFTP"):
        pytest.skip(why)


@contextmanager
def dropbear(directory: Path, setup: str = "true") -> Iterator[Host]:
    """A host of pyinfra that is connected to a Dropbear.

    Args:
        setup: shell that runs in the server's mount namespace first, in the login user's home.
    """
    key, server_key = directory / "key", directory / "server"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    subprocess.run(["dropbearkey", "-t", "ed25519", "-f", str(server_key)], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = (
        "mount -t tmpfs -o mode=0700 none /root; cd /root; mkdir -m 700 .ssh; "
        f"cp {shlex.quote(f'{key}.pub')} .ssh/authorized_keys; {setup}\n"
        f"exec dropbear -F -E -s -r {shlex.quote(str(server_key))} -p 127.0.0.1:{port}"
    )
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(["unshare", "--mount", "sh", "-ec", script], stderr=log) as server,
    ):
        try:
            yield _connected(port, key, directory)
        finally:
            server.terminate()


def _connected(port: int, key: Path, directory: Path) -> Host:
    about = {
        "ssh_port": port,
        "ssh_user": "root",
        "ssh_key": str(key),
        "ssh_known_hosts_file": str(directory / "known_hosts"),
        "ssh_strict_host_key_checking": "no",
    }
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline, (directory / "log").read_text()
        time.sleep(0.05)
    return _host("127.0.0.1", about)


def _host(name: str, data: dict[str, Any]) -> Host:
    state = State(Inventory(([name], data)), Config())  # type: ignore[no-untyped-call]
    # As a run of Hearth's does.
    with pytest.MonkeyPatch.context() as patch, ctx_config.use(Config()):  # type: ignore[no-untyped-call]
        patch.setattr(ssh, "SSHClient", ssh.SSHClient)
        patch.setattr(local, "run_local_process", local.run_local_process)
        install_host_shell()
        connect_all(state)
    (host,) = state.activated_hosts
    return host


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(f"mount --bind /dev/null {SFTP.resolve()}", id="without SFTP"),
        pytest.param("echo 'echo Welcome' >.bashrc", id="a login shell that prints"),
    ],
)
def test_dropbear_takes_files(tmp_path: Path, setup: str) -> None:
    """Through the commands' own channel, since such servers and shells break SFTP."""
    content = bytes(range(256)) * 1000
    with dropbear(tmp_path, setup) as host:
        write_to(host.state, host, "cat > '/root/a file'", {}, io.BytesIO(content))
        found, output = host.run_shell_command("sha256sum '/root/a file'")
    assert (found, output.stdout.split()[0]) == (True, hashlib.sha256(content).hexdigest())
