"""Commands for operations in addition to pyinfra's own: with live output, or failing with a message."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.runtime.byte_stream import ChannelError, write_to
from hearth.runtime.explain import explain, is_preparing
from hearth.runtime.journal import record_failure
from hearth.runtime.shell import quote
from hearth.runtime.tar import pack_files


def streamed_command(script: str) -> FunctionCommand:
    """Run a shell script on the host and show its output line by line as it arrives.

    pyinfra shows the output of ordinary commands only with -v, but a command that takes minutes must show progress.
    Connection arguments (sudo …) are those of the operation that yields this: pyinfra passes none to function commands
    (pyinfra#1839).
    """
    return FunctionCommand(_run, (script, connection_arguments()), {})


def connection_arguments() -> dict[str, Any]:
    """The current operation's arguments for running commands on the host (sudo …)."""
    given: Any = host.current_op_global_arguments or {}
    return {key: value for key, value in given.items() if key in CONNECTOR_ARGUMENT_KEYS}


def _run(state: State, host: Host, script: str, arguments: dict[str, Any]) -> bool:  # noqa: ARG001
    succeeded, output = host.run_shell_command(StringCommand(script), print_output=True, **arguments)
    if not succeeded:
        record_failure(host, output.stderr_lines)
    return succeeded


def upload_command(content: bytes, path: str) -> FunctionCommand:
    """Write a file on the host, with the connection arguments of the operation that yields this.

    pyinfra's own upload needs SFTP, which some ssh servers lack, and which output of the login shell breaks.
    """
    return FunctionCommand(_upload, (content, path, connection_arguments()), {})


def _upload(state: State, host: Host, content: bytes, path: str, arguments: dict[str, Any]) -> bool:
    try:
        write_to(state, host, f"cat > {quote(path)}", arguments, io.BytesIO(content))
    except (ChannelError, OSError) as error:
        return report_failure(host, f"could not write {path}: {error}")
    return True


def send_secrets(
    state: State, host: Host, contents: Mapping[str, SecretStr], script: str, arguments: dict[str, Any], what: str
) -> bool:
    """For a `FunctionCommand`: send files to a script as a tar archive on its standard input, and never show them.

    Args:
        contents: name in the archive → content.
        arguments: `connection_arguments` of the operation.
        what: the files, for the message of a failure.
    """
    archive = pack_files({name: secret.get_secret_value().encode() for name, secret in contents.items()})
    try:
        write_to(state, host, script, arguments, io.BytesIO(archive))
    except (ChannelError, OSError) as error:
        return report_failure(host, f"could not write {what}: {error}")
    return True


def refused_command(message: str) -> FunctionCommand:
    """Fail the operation on this host alone, with a message. (An exception would end the run on all hosts.)"""
    if is_preparing():
        explain(message, kind="unknown")
    return FunctionCommand(_refuse, (message,), {})


def _refuse(state: State, host: Host, message: str) -> bool:  # noqa: ARG001
    return report_failure(host, message)


def report_failure(host: Host, message: str) -> bool:
    """Log why a function command failed on a host, and keep it for the summary. Returns False, as the function does."""
    logger.error(f"{host.print_prefix}{message}")
    record_failure(host, [message])
    return False
