"""Why a login failed: errors as pyinfra and paramiko make them of the system's, here and on a Mac."""

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


def why(made_of: BaseException, place: ClientEnvironment = LINUX, address: str = PI) -> str:
    """The sentence for an error as pyinfra raises it: with the one that it was made of as its context."""
    try:
        try:
            raise made_of
        except type(made_of) as error:
            raise ConnectError(f"Could not connect ({error})")  # noqa: B904 - as pyinfra does it
    except ConnectError as error:
        return explain_login_error(error, place, address, "pi", 22)


def of_the_system(number: int, address: str = PI) -> NoValidConnectionsError:
    return NoValidConnectionsError({(address, 22): OSError(number, "…")})


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        (of_the_system(ECONNREFUSED), "takes no ssh on port 22"),
        (of_the_system(EHOSTUNREACH), f"Nothing answers at {PI}. Is it on"),
        (TimeoutError("timed out"), f"Nothing answers at {PI}. Is it on"),
        (OSError(ENETUNREACH, "…"), "is in no network that leads to"),
        (socket.gaierror(-2, "Name or service not known"), "known to nobody here"),
        (AuthenticationException("Authentication failed."), f"`ssh-copy-id pi@{PI}`"),
        (BadHostKeyException(PI, ECDSAKey.generate(), ECDSAKey.generate()), f"`ssh-keygen -R {PI}`"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_it_means_and_what_to_do(made_of: BaseException, said: str) -> None:
    assert said in why(made_of)


def test_no_route_on_a_mac_is_its_privacy_as_the_doctor_has_it() -> None:
    """Error 65 there, immediately, for a host of one's own network, which the browser reaches."""
    for address in (PI, "pi.local"):
        told = why(of_the_system(65, address), MAC, address)
        assert "System Settings > Privacy & Security > Local Network: switch on iTerm.app" in told
        assert told.endswith("See docs/doctor.md#local-network-privacy")
    assert "Privacy" not in why(of_the_system(65, "8.8.8.8"), MAC, "8.8.8.8")
    assert "Privacy" not in why(of_the_system(65), ClientEnvironment(system="Darwin", terminal="Apple_Terminal"))
    assert "Privacy" not in why(of_the_system(EHOSTUNREACH))


def test_what_nobody_knows_stands_for_itself() -> None:
    assert why(SSHException("Error reading SSH protocol banner")) == ""
    assert explain_login_error(ConnectError("odd"), LINUX, PI, "", 22) == ""
