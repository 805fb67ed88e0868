"""One deploy at a time per host: the second one fails, with the holder of the lock and since when.

The lock is a `flock` on the host, held by a small program (`lock.bash`) over a channel of pyinfra's own ssh connection.
When the run ends, for whatever reason, the connection closes, the program exits, and the lock is released. If the
control machine disappears silently, the host detects that and ends its session.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyinfra
from pyinfra import host, state
from pyinfra.api import DeployError, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import extract_control_arguments, make_unix_command_for_host

from hearth.paths import DEPLOY_LOCK
from hearth.runtime.checkout import deployer
from hearth.runtime.command_line import read_command_line
from hearth.runtime.host_shell import in_english
from hearth.runtime.sudo import root_connection_arguments

# Seconds without a response from the control machine after which the host ends its session; checked every 20 s.
CLIENT_TIMEOUT = 90
# Seconds for the host to report whether the lock was free.
_LOCK_TIMEOUT = 60
_SCRIPT = Path(__file__).with_suffix(".bash")
_KEY = "hearth_lock"


@dataclass
class LockReply:
    """First output line and error output of the program on the host, and its channel: closing that releases the
    lock."""

    output: str
    errors: str
    channel: tuple[Any, Any, Any]


def acquire_deploy_lock(root: Mapping[str, Any]) -> None:
    """Keep other deploys off this host until this run ends. Call it before the host is inspected.

    No lock is taken in a dry run, nor over connectors without a persistent channel (`@docker`, `@chroot`): nobody else
    deploys to their targets.

    Args:
        root: pyinfra arguments with which commands run as root.

    Raises:
        DeployError: another run holds the lock, or it is unknown whether one does.
    """
    if is_dry_run() or host.connector_data.get(_KEY):
        return
    reply = _start_lock_program(root)
    if reply is None:
        return
    if reply.output.startswith("held"):
        raise DeployError(format_refusal(host.name, reply.output.removeprefix("held").strip()))
    if reply.output != "taken":
        reason = reply.errors or reply.output or "no output"
        raise DeployError(f"{host.name}: could not take the deploy lock, nothing was changed: {reason}")
    # Kept for the whole run: an unreferenced channel would be closed.
    host.connector_data[_KEY] = reply.channel


def forget_deploy_lock(host: Host) -> None:
    """Forget a lock whose connection is gone; `acquire_deploy_lock` then takes it again."""
    host.connector_data.pop(_KEY, None)


def format_refusal(name: str, holder: str) -> str:
    """The error for the second of two deploys; `holder` is empty while the first one is just starting."""
    return (
        f"{name} is being deployed to by {holder or 'another run that has just started'}; nothing was changed. "
        "Wait for that run to finish (or stop it), then deploy again"
    )


def format_holder(user: str, machine: str, now: datetime) -> str:
    """The holder of a lock and since when: `anna@laptop (since 2026-01-31 12:03 UTC)`."""
    return f"{user}@{machine} (since {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def is_dry_run() -> bool:
    """Whether this run of pyinfra changes nothing: `--dry`, or an option that only prints."""
    return pyinfra.is_cli and read_command_line().is_dry


def _start_lock_program(root: Mapping[str, Any]) -> LockReply | None:
    """Start the program that holds the lock; None if the connector has no persistent channel.

    Raises:
        DeployError: it did not respond in time.
    """
    user, _, machine = deployer().rpartition("@")
    who = format_holder(user, machine, datetime.now(UTC))
    # pyinfra removes its file for sudo's password prompt (without the password) at the end of a run, if it gets there.
    askpass = [str(path) for key, path in host.connector_data.items() if key.startswith("sudo_askpass_path") and path]
    words = ("bash", "-c", _SCRIPT.read_text(), "hearth-lock", DEPLOY_LOCK, who, str(CLIENT_TIMEOUT), *askpass)
    command = StringCommand("exec", *(QuoteString(word) for word in words))
    arguments = root_connection_arguments(root)
    extract_control_arguments(arguments)  # type: ignore[arg-type]
    line = make_unix_command_for_host(state, host, command, **arguments).get_raw_value()
    channel = _open(line)
    if channel is None:
        return None
    _, stdout, stderr = channel
    try:
        output = _text(stdout.readline()).strip()
        # Without output it has exited, and its errors are complete.
        return LockReply(output, "" if output else _text(stderr.read()).strip(), channel)
    except TimeoutError:
        raise DeployError(
            f"{host.name}: timed out after {_LOCK_TIMEOUT} s waiting for the deploy lock; nothing was changed"
        ) from None


def _open(line: str) -> tuple[Any, Any, Any] | None:
    """Start a command on the host: its standard input, output and error."""
    connector = host.connector
    if isinstance(connector, SSHConnector):
        assert connector.client is not None
        return connector.client.exec_command(line, timeout=_LOCK_TIMEOUT)
    if isinstance(connector, LocalConnector):
        process = subprocess.Popen(
            in_english(line), shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        return process.stdin, process.stdout, process.stderr
    return None


def _text(read: str | bytes) -> str:
    return read if isinstance(read, str) else read.decode(errors="replace")
