"""sudo's password: whether it is needed is settled, and the user prompted, before anything else runs as root.

Decided by exit codes, since sudo's messages differ between versions (and sudo-rs), and are translated.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from getpass import getpass
from typing import Any

from pyinfra import host, logger, state
from pyinfra.api import DeployError, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments

_ATTEMPTS = 3
# pyinfra's own: it adds the password to every command with sudo.
_KEY = "prompted_sudo_password"


def settle_sudo_password(root: Mapping[str, Any], is_free: bool = False) -> None:
    """Make sure that commands with sudo work on the current host, and prompt for the password if they need one.

    Args:
        root: pyinfra arguments with which commands run as root.
        is_free: sudo needs no password.

    Raises:
        DeployError: the password is wrong, was not entered or can't be prompted for, or sudo refuses the user.
    """
    if not root.get("_sudo") or host.connector_data.get(_KEY):
        return
    if root_connection_arguments(root).get("_sudo_password"):
        if refusal := _refusal(root):
            raise DeployError(
                f"{host.name}: sudo does not accept the given password (_sudo_password), nothing was changed: {refusal}"
            )
        return
    if is_free:
        return
    if not _has_terminal():
        raise DeployError(
            f"{host.name}: sudo needs a password, and there is no terminal to prompt for it; nothing was changed. Run "
            f"this in a terminal, or let the user run sudo without a password: on {host.name}, `sudo visudo -f "
            "/etc/sudoers.d/hearth` with the line `USER ALL=(ALL) NOPASSWD: ALL`"
        )
    refusal = ""
    for _ in range(_ATTEMPTS):
        try:
            host.connector_data[_KEY] = getpass(f"{host.print_prefix}sudo password: ")
        except EOFError:
            raise DeployError(f"{host.name}: no password for sudo was entered; nothing was changed") from None
        refusal = _refusal(root)
        if not refusal:
            return
        logger.warning(f"{host.print_prefix}{refusal}")
    del host.connector_data[_KEY]
    raise DeployError(
        f"{host.name}: sudo does not let the user run commands as root, nothing was changed: {refusal}. `sudo -v` on "
        "the host shows whether the password is right and the user may use sudo"
    )


def root_connection_arguments(root: Mapping[str, Any]) -> dict[str, Any]:
    """Connection arguments (sudo …) as for pyinfra's facts: ours, the inventory's, the command line's."""
    arguments, _ = pop_global_arguments(state, host, dict(root))
    return {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}


def _refusal(root: Mapping[str, Any]) -> str:
    """Why a command fails with sudo and the password; "" if it does not."""
    succeeded, output = host.run_shell_command(StringCommand("true"), **root_connection_arguments(root))
    if succeeded:
        return ""
    lines = [line.strip() for line in output.stderr_lines if line.strip()]
    return lines[-1].rstrip(".") if lines else "no output"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin.isatty()
    return True
