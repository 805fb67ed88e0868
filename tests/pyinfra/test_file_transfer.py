"""Uploads to a real Dropbear, the small ssh server of DietPi, with and without SFTP, by pyinfra's own connector.

Dropbear runs in a mount namespace with its own /root, as the only user who is sure to exist.
"""

from __future__ import annotations

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

from hearth.preflight.file_transfer import file_transfer_obstacles
from tests.pyinfra.confined import missing_privileges

SFTP = Path("/usr/lib/sftp-server")
INTERACTIVE_ONLY = "case $- in *i*) ;; *) return;; esac"


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
    connect_all(state)
    (host,) = state.activated_hosts
    return host


def test_dropbear_with_sftp_takes_files(tmp_path: Path) -> None:
    with dropbear(tmp_path) as host:
        assert file_transfer_obstacles(host) == []
        assert host.connector.put_file(io.BytesIO(b"it works"), "/root/file")
        found, output = host.run_shell_command("cat /root/file")
    assert (found, output.stdout) == (True, "it works")


def test_dropbear_without_sftp_is_refused(tmp_path: Path) -> None:
    with dropbear(tmp_path, f"mount --bind /dev/null {SFTP.resolve()}") as host:
        (sentence,) = file_transfer_obstacles(host)
        assert host.run_shell_command("true")[0], "commands still run"
    assert sentence.startswith("the ssh server (dropbear_")
    assert "apt-get install openssh-sftp-server" in sentence


def test_login_shell_that_prints_is_refused_with_a_fix_that_helps(tmp_path: Path) -> None:
    with dropbear(tmp_path, "echo 'echo Welcome' >.bashrc") as host:
        (sentence,) = file_transfer_obstacles(host)
    assert INTERACTIVE_ONLY in sentence
    (tmp_path / "again").mkdir()
    lines = f"{INTERACTIVE_ONLY}\necho Welcome\n"
    with dropbear(tmp_path / "again", f"printf %s {shlex.quote(lines)} >.bashrc") as host:
        assert file_transfer_obstacles(host) == []


def test_other_connections_need_no_sftp() -> None:
    assert file_transfer_obstacles(_host("@local", {})) == []
