"""A host to log in to, without a virtual machine: a real sshd, sudo and login shells. See login_host.sh."""

from __future__ import annotations

import shlex
import socket
import subprocess
from pathlib import Path

from lab import shell
from tests.proxy.container import Inside

SHELLS = ("dash", "bash", "zsh", "fish", "tcsh")
# With everything that a shell or a locale may change.
PASSWORD = """gehe'im "$HOME" \\n !1 äöß"""
_ENTER = Path(__file__).with_name("login_host.sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNSHARE = ("unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--")


class LoginHost(Inside):
    """A host with a user for each shell, named after it, until the end of the block. Each may use sudo, with PASSWORD.

    Args:
        root: the root directory of the lab's artefact `login`.
        directory: an empty directory.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        self._directory = directory
        work, self._key = directory / "work", directory / "key"
        work.mkdir()
        (directory / "known_hosts").touch()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = [*shell.sudo(), "env", "-i", f"PATH={_PATH}", *_UNSHARE, "sh", str(_ENTER)]
        words += [str(root), str(work), str(self.port), f"{self._key}.pub", PASSWORD]
        super().__init__(words, directory / "log", lambda: "Server listening" in self.log())

    def inventory(self, user: str, **data: object) -> str:
        """The path of an inventory file with this host alone, as that user."""
        data = {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": self.port,
            "ssh_user": user,
            "ssh_key": str(self._key),
            "ssh_known_hosts_file": str(self._directory / "known_hosts"),
            # There is little space in its file system, which is in memory.
            "docker_images_gb": 0.1,
            "ollama_model_sizes_gb": {"tinyllama": 0.1},
        } | data
        path = self._directory / f"{user}_hosts.py"
        path.write_text(f"hosts = [('anmeldung', {data!r})]\n")
        return str(path)


def write_script(path: str, *lines: str) -> str:
    """A line of shell that writes a file in the host."""
    return f"printf '%s\\n' {' '.join(map(shlex.quote, lines))} >{path}"
