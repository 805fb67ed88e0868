"""Access to the guest: this checkout's key and ssh configuration, and waiting for sshd."""

from __future__ import annotations

import base64
import shlex
import socket
import subprocess
import time
from pathlib import Path

from lab import ports, shell
from lab.errors import LabError

HOST = "hearth-lab"
USER = "pi"


def make_key(directory: Path) -> str:
    """Create this checkout's key pair if it is missing; the public key."""
    key = directory / "ssh_key"
    if not key.exists():
        shell.read(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hearth-lab", "-f", key])
    return key.with_suffix(".pub").read_text().strip()


def credential(public_key: str) -> str:
    """The kernel argument that authorizes the key: a systemd credential, so images contain no keys.

    systemd-tmpfiles writes pi's authorized_keys from it at every boot.
    """
    return f"systemd.set_credential_binary={_tmpfiles_credential(public_key)}"


def firmware_credential(public_key: str) -> str:
    """The same as an SMBIOS string, for systemd 252, which does not support the kernel argument."""
    name, _, value = _tmpfiles_credential(public_key).partition(":")
    return f"type=11,value=io.systemd.credential.binary:{name}={value}"


def _tmpfiles_credential(public_key: str) -> str:
    home = f"/home/{USER}"
    lines = f"d {home}/.ssh 0700 {USER} {USER} -\nf+ {home}/.ssh/authorized_keys 0600 {USER} {USER} - {public_key}\n"
    return f"tmpfiles.extra:{base64.b64encode(lines.encode()).decode()}"


def configuration(directory: Path, port: int) -> str:
    """The text of the ssh configuration. The guest's host key is accepted on first use: it was just created."""
    return f"""# Written by `python -m lab up`; use it with: ssh -F {directory}/ssh_config {HOST}
Host {HOST}
  HostName {ports.LOOPBACK}
  Port {port}
  User {USER}
  IdentityFile "{directory}/ssh_key"
  IdentitiesOnly yes
  UserKnownHostsFile "{directory}/known_hosts"
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


def command(directory: Path, *words: str) -> list[str]:
    """The command line that runs `words` in the guest (a login shell without any)."""
    return ["ssh", "-F", str(directory / "ssh_config"), HOST, *([shlex.join(words)] if words else [])]


def run(directory: Path, *words: str, timeout: float = 60) -> str:
    """Run a command in the guest; its standard output."""
    base = command(directory, *words)
    return shell.read([base[0], "-o", "BatchMode=yes", *base[1:]], timeout)


def wait(directory: Path, port: int, deadline: float) -> None:
    """Poll until we can log in to the guest and set its clock; LabError with the last error after `deadline` s."""
    until = time.monotonic() + deadline
    last = "no attempt was made"
    while time.monotonic() < until:
        last = _greeting(port) or _login(directory)
        if not last:
            return
        time.sleep(0.2)
    console = directory / "console.log"
    raise LabError(
        f"Could not log in to the guest by ssh within {deadline:.0f} s. Last error: {last}\n"
        f"End of its console ({console}):\n{shell.tail(console)}"
    )


def _greeting(port: int) -> str:
    """Why sshd's greeting did not arrive; empty if it did.

    QEMU accepts the connection long before the guest does, and then retries at growing intervals: several short
    attempts reach the guest sooner than one long-running ssh.
    """
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=1.5) as connection:
            received = connection.recv(64)
    except OSError as error:
        return f"no greeting from sshd ({error})"
    return "" if received.startswith(b"SSH-") else f"not sshd's greeting: {received!r}"


def _login(directory: Path) -> str:
    """Why logging in and setting the guest's clock failed; empty if it worked.

    A restored guest still has the time of its snapshot. Each login takes a second under emulation, so one does both.
    """
    argv = command(directory, "sudo", "date", "--utc", "--set", f"@{time.time():.1f}")
    try:
        attempt = subprocess.run(
            [argv[0], "-o", "BatchMode=yes", *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except subprocess.TimeoutExpired:
        return "no response within 30 s"
    return attempt.stderr.strip() or f"exit code {attempt.returncode}" if attempt.returncode else ""
