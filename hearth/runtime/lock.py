"""One deploy at a time on a host: the second is refused, and told who holds the host since when.

The lock is a `flock` on the host, held by a small program (`lock.bash`) at the end of a channel of pyinfra's own ssh
connection. When the run ends, however it ends, the connection does, and with it the program and the hold. A control
machine that vanished without a word is noticed by the host, which then ends its session.
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
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import (
    SUDO_PASSWORD_REQUIRED_LINES,
    extract_control_arguments,
    make_unix_command_for_host,
)

from hearth.paths import DEPLOY_LOCK
from hearth.runtime.checkout import deployer
from hearth.runtime.command_line import read_command_line

# Seconds without a sign of life from the control machine after which the host ends its session; it looks every 20 s.
PATIENCE = 90
# Seconds for the host to say whether the lock was free.
_ANSWER = 60
_SCRIPT = Path(__file__).with_suffix(".bash")
_KEY = "hearth_lock"


@dataclass
class Answer:
    """What the program on the host said first, what it complained of, and its channel: the hold ends with that."""

    said: str
    complaint: str
    channel: tuple[Any, Any, Any]


def acquire_deploy_lock(root: Mapping[str, Any]) -> None:
    """Keep every other deploy off this host until this run ends. To be called before the host is looked at.

    Nothing is held by a run that only looks (`--dry`), nor over connectors that have no lasting channel (`@docker`,
    `@chroot`): what they deploy to is nobody else's.

    Args:
        root: pyinfra arguments with which commands run as root.

    Raises:
        DeployError: another run holds the host, or the host did not say whether one does.
    """
    if is_dry_run() or host.connector_data.get(_KEY):
        return
    answer = _ask(root)
    if answer is not None and any(
        line.strip() in SUDO_PASSWORD_REQUIRED_LINES for line in answer.complaint.split("\n")
    ):
        # pyinfra asks for it where one of its own commands needs it, and knows it from then on.
        host.run_shell_command(StringCommand("true"), **_arguments(root))
        answer = _ask(root)
    if answer is None:
        return
    if answer.said.startswith("held"):
        raise DeployError(format_refusal(host.name, answer.said.removeprefix("held").strip()))
    if answer.said != "taken":
        reason = answer.complaint or answer.said or "the host said nothing"
        raise DeployError(
            f"{host.name}: whether another deploy is at work there could not be found out, and nothing was changed: "
            f"{reason}"
        )
    # Kept for the whole run: a channel that nobody knows any more is closed.
    host.connector_data[_KEY] = answer.channel


def forget_deploy_lock(host: Host) -> None:
    """Let go of a hold whose connection is gone, so that `acquire_deploy_lock` takes the host anew."""
    host.connector_data.pop(_KEY, None)


def format_refusal(name: str, holder: str) -> str:
    """The sentence for the second of two deploys; `holder` is empty for the moment in which the first one begins."""
    return (
        f"{name} is being deployed to by {holder or 'somebody else, who began this moment'}; nothing was changed. "
        "Wait until that run has ended (or end it), then deploy again"
    )


def format_holder(user: str, machine: str, now: datetime) -> str:
    """Who holds a host since when: `anna@laptop (since 2026-01-31 12:03 UTC)`."""
    return f"{user}@{machine} (since {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def is_dry_run() -> bool:
    """Whether this run of pyinfra will change nothing: `--dry`, or one of the options that only print."""
    return pyinfra.is_cli and read_command_line().only_looks


def _ask(root: Mapping[str, Any]) -> Answer | None:
    """Start the program that holds the lock; None where the connector has no channel that lasts.

    Raises:
        DeployError: it did not answer in time.
    """
    user, _, machine = deployer().rpartition("@")
    who = format_holder(user, machine, datetime.now(UTC))
    words = ("bash", "-c", _SCRIPT.read_text(), "hearth-lock", DEPLOY_LOCK, who, str(PATIENCE))
    command = StringCommand("exec", *(QuoteString(word) for word in words))
    arguments = _arguments(root)
    extract_control_arguments(arguments)  # type: ignore[arg-type]
    line = make_unix_command_for_host(state, host, command, **arguments).get_raw_value()
    channel = _open(line)
    if channel is None:
        return None
    _, stdout, stderr = channel
    try:
        said = _text(stdout.readline()).strip()
        # Without a word it has ended, and its complaints are complete.
        return Answer(said, "" if said else _text(stderr.read()).strip(), channel)
    except TimeoutError:
        raise DeployError(
            f"{host.name}: the host did not say within {_ANSWER} s whether it is free; nothing was changed"
        ) from None


def _open(line: str) -> tuple[Any, Any, Any] | None:
    """Run a command on the host and go on: its standard input, output and error."""
    connector = host.connector
    if isinstance(connector, SSHConnector):
        assert connector.client is not None
        return connector.client.exec_command(line, timeout=_ANSWER)
    if isinstance(connector, LocalConnector):
        process = subprocess.Popen(
            line, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        return process.stdin, process.stdout, process.stderr
    return None


def _arguments(root: Mapping[str, Any]) -> dict[str, Any]:
    """Connection arguments (sudo …) as pyinfra's facts get them: ours, the inventory's, the command line's."""
    arguments, _ = pop_global_arguments(state, host, dict(root))
    return {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}


def _text(read: str | bytes) -> str:
    return read if isinstance(read, str) else read.decode(errors="replace")
