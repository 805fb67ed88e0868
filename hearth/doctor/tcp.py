"""TCP connections to the addresses of a host, and why they fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hearth.doctor.address import Address, is_docker_address, is_this_machine, same_network
from hearth.doctor.causes import network as causes
from hearth.doctor.causes.cause import Cause
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.neighbours import Neighbour
from hearth.doctor.socket_errors import reason_of
from hearth.doctor.target import parse_ip


@dataclass(frozen=True)
class Attempt:
    """One attempt to connect.

    Attributes:
        address: of the host, as text.
        reason: why it failed (`hearth.doctor.socket_errors.Reason`), "" if it did not.
        error: the system's message.
        number: the system's error number, 0 if there is none.
        seconds: until it succeeded or failed.
        source: the address of this machine that the system would use, "" if none.
    """

    address: str
    reason: str = ""
    error: str = ""
    number: int = 0
    seconds: float = 0.0
    source: str = ""


def connect(address: Address, port: int, timeout: float) -> socket.socket:
    """A connected socket, with the same timeout for each further operation.

    Raises:
        OSError: of the system; TimeoutError after `timeout` seconds.
    """
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((address.sockaddr[0], port, *address.sockaddr[2:]))
    except BaseException:
        connection.close()
        raise
    return connection


def source_of(address: Address) -> str:
    """This machine's address on the route to another one; "" if there is no route. Sends nothing."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as probe:
            probe.connect((address.sockaddr[0], 9, *address.sockaddr[2:]))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def try_connect(address: Address, port: int, timeout: float, environment: ClientEnvironment, tries: int = 1) -> Attempt:
    """Connect and close; repeat after a timeout or reset."""
    while True:
        started = time.monotonic()
        try:
            connect(address, port, timeout).close()
        except OSError as error:
            seconds = time.monotonic() - started
            reason = reason_of(error, environment.system)
            tries -= 1
            if tries > 0 and reason in ("timeout", "reset"):
                continue
            message = error.strerror or str(error)
            return Attempt(address.text, reason, message, error.errno or 0, seconds, source_of(address))
        return Attempt(address.text, seconds=time.monotonic() - started, source=source_of(address))


def connection_cause(
    attempt: Attempt,
    address: Address,
    environment: ClientEnvironment,
    open_ports: Sequence[int],
    other_url: str,
    neighbour: Neighbour = Neighbour(),  # noqa: B008  # immutable
) -> Cause:
    """The cause of a failed attempt. Pure, so it also works for errors recorded on other systems.

    Args:
        open_ports: other ports of the same address that responded, even if only with a refusal.
        other_url: URL of a Hearth on another port of the host, "" if there is none.
        neighbour: what this machine's table of neighbours says of the address after the attempt.
    """
    if other_url:
        return causes.WRONG_PORT
    if environment.in_container and address.is_loopback and attempt.reason == "refused":
        return causes.LOCALHOST_IN_CONTAINER
    match attempt.reason:
        case "refused":
            return causes.PORT_REFUSED
        case "forbidden":
            return causes.CONNECTION_FORBIDDEN
        case "timeout" | "host-down" | "host-unreachable" | "network-unreachable" if is_docker_address(
            attempt.address
        ) and not same_network(attempt.source, attempt.address):
            return causes.DOCKER_ADDRESS
        case "timeout" | "host-unreachable" | "host-down" if not open_ports and _is_absent(
            neighbour, attempt, environment
        ):
            return causes.HOST_ABSENT
        case "host-unreachable" if (
            environment.system == "Darwin"
            and address.is_private
            and not environment.exempt_from_local_network_privacy
            and _is_direct(attempt)
        ):
            return causes.LOCAL_NETWORK_PRIVACY
        case "timeout" | "host-unreachable" if open_ports:
            return causes.PORT_FILTERED
        case "timeout":
            return causes.HOST_DROPS if neighbour.state == "alive" else causes.HOST_SILENT
        case "host-unreachable" | "host-down" if neighbour.hardware:
            return causes.LOCAL_POLICY
        case "host-unreachable" | "host-down":
            return causes.HOST_UNREACHABLE
        case "network-unreachable":
            return causes.NETWORK_UNREACHABLE
    return causes.CONNECTION_FAILED


def _is_absent(neighbour: Neighbour, attempt: Attempt, environment: ClientEnvironment) -> bool:
    """Whether no device on this machine's network has the address.

    Linux and macOS keep an entry for an address that no device responded for. Without one, they did not ask: the
    address is on another network, or a rule came first. Windows lists no such entries.
    """
    if neighbour.state == "none" and environment.system == "Windows":
        return bool(attempt.source) and _is_direct(attempt)
    return neighbour.state == "silent"


def _is_direct(attempt: Attempt) -> bool:
    """Whether an address is probably on a network of this machine; some home networks are larger than /24."""
    ip = parse_ip(attempt.address.partition("%")[0])
    if ip is not None and ip.is_link_local:
        return True
    return not attempt.source or same_network(attempt.source, attempt.address, bits=16)


def describe_attempt(attempt: Attempt, port: int) -> str:
    """Describe an attempt in one phrase."""
    if not attempt.reason:
        return f"{attempt.address} port {port} accepted the connection after {attempt.seconds * 1000:.0f} ms"
    number = f" (error {attempt.number})" if attempt.number else ""
    elsewhere = ""
    if attempt.source and not same_network(attempt.source, attempt.address) and not is_this_machine(attempt.address):
        elsewhere = f"; this machine's address is {attempt.source}, on another network"
    return f"{attempt.address} port {port}: {attempt.error}{number} after {attempt.seconds:.1f} s{elsewhere}"
