"""Whether files can be uploaded: pyinfra uses SFTP, which not every ssh server has. Credentials don't need it."""

from __future__ import annotations

import gevent
from paramiko import SFTPError, SSHException
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

# Seconds for the server to start SFTP.
_PATIENCE = 60


def file_transfer_obstacles(host: Host) -> list[str]:
    """Why no file can be uploaded: a sentence with the fix, or none. Opens the connection that uploads use later."""
    connector = host.connector
    if not isinstance(connector, SSHConnector):
        return []
    assert connector.client is not None
    transport = connector.client.get_transport()
    server = getattr(transport, "remote_version", "").removeprefix("SSH-2.0-")
    try:
        with gevent.Timeout(_PATIENCE):
            connector.get_file_transfer_connection()
    except SFTPError:
        return [
            "the login shell prints text before file transfers (SFTP) start, which breaks them. Remove that line from "
            "the login user's ~/.bashrc (or the file of another shell), or move it below the line that ends "
            "the file for shells that are not interactive: `case $- in *i*) ;; *) return;; esac`"
        ]
    except (ConnectError, SSHException, EOFError, OSError, gevent.Timeout):
        return [f"the ssh server ({server}) does not offer SFTP, which files are uploaded with; {_fix(server)}"]
    return []


def _fix(server: str) -> str:
    if server.startswith("dropbear"):
        return "Dropbear uses that of OpenSSH: run `sudo apt-get install openssh-sftp-server` on the host"
    return (
        "add the line `Subsystem sftp internal-sftp` to /etc/ssh/sshd_config on the host, and run "
        "`sudo systemctl restart ssh`"
    )
