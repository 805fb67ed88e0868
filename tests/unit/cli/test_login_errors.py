"""Why a login failed: the errors of pyinfra and paramiko, on Linux and on a Mac."""

from __future__ import annotations

import socket
from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH

import pytest
from paramiko import ECDSAKey
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, NoValidConnectionsError, SSHException
from pyinfra.api.exceptions import ConnectError

from hearth.cli.login_errors import explain_login_error
from hearth.doctor.client_environment import ClientEnvironment

LINUX, MAC = ClientEnvironment(), ClientEnvironment(system="Darwin", terminal="iTerm.app")
PI = "192.168.1.189"


def why(original: BaseException, environment: ClientEnvironment = LINUX, address: str = PI) -> str:
    """The message for an error as pyinfra raises it, with the original as its context."""
    try:
        try:
            raise original
        except type(original) as error:
            raise ConnectError(f"Could not connect ({error})")  # noqa: B904 - as pyinfra does it
    except ConnectError as error:
        return explain_login_error(error, environment, address, "pi", 22)


def system_error(number: int, address: str = PI) -> NoValidConnectionsError:
    return NoValidConnectionsError({(address, 22): OSError(number, "…")})


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (system_error(ECONNREFUSED), "does not accept ssh on port 22"),
        (system_error(EHOSTUNREACH), f"No response from {PI}. Is the host on"),
        (TimeoutError("timed out"), f"No response from {PI}. Is the host on"),
        (OSError(ENETUNREACH, "…"), "has no route to"),
        (socket.gaierror(-2, "Name or service not known"), "Can't resolve the name"),
        (AuthenticationException("Authentication failed."), f"`ssh-copy-id pi@{PI}`"),
        (BadHostKeyException(PI, ECDSAKey.generate(), ECDSAKey.generate()), f"`ssh-keygen -R {PI}`"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_message_names_cause_and_fix(original: BaseException, expected: str) -> None:
    assert expected in why(original)


def test_no_route_on_a_mac_is_local_network_privacy() -> None:
    """macOS gives error 65 at once for a host on the local network, which the browser can reach."""
    for address in (PI, "pi.local"):
        message = why(system_error(65, address), MAC, address)
        assert "System Settings > Privacy & Security > Local Network: switch on iTerm.app" in message
        assert message.endswith("See docs/doctor.md#local-network-privacy")
    assert "Privacy" not in why(system_error(65, "8.8.8.8"), MAC, "8.8.8.8")
    assert "Privacy" not in why(system_error(65), ClientEnvironment(system="Darwin", terminal="Apple_Terminal"))
    assert "Privacy" not in why(system_error(EHOSTUNREACH))


def test_unknown_errors_get_no_message() -> None:
    assert why(SSHException("Error reading SSH protocol banner")) == ""
    assert explain_login_error(ConnectError("odd"), LINUX, PI, "", 22) == ""
