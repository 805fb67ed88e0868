"""TCP connections to every address of the host."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hearth.doctor.address import Address, is_docker_address, same_network, stays_here
from hearth.doctor.causes import network as causes
from hearth.doctor.causes.cause import Cause
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.socket_errors import reason_of
from hearth.doctor.target import parse_ip


@dataclass(frozen=True)
class Attempt:
    """One try to connect.

    Attributes:
        address: of the host, as text.
        reason: why it failed (`hearth.doctor.socket_errors.Reason`), "" where it did not.
        error: the system's own words.
        number: the system's error number, 0 if there is none.
        seconds: until it worked or failed.
        source: this machine's address that the system would use, "" if none.
    """

    address: str
    reason: str = ""
    error: str = ""
    number: int = 0
    seconds: float = 0.0
    source: str = ""


def connect(address: Address, port: int, timeout: float) -> socket.socket:
    """A connected socket, whose every further step has the same time limit.

    Raises:
        OSError: as the system says it; TimeoutError after `timeout` seconds.
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
    """This machine's address on the way to another one; "" if there is no way. Sends nothing."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as probe:
            probe.connect((address.sockaddr[0], 9, *address.sockaddr[2:]))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def attempt(address: Address, port: int, timeout: float, place: ClientEnvironment, tries: int = 1) -> Attempt:
    """Connect and hang up; what timed out or was reset is tried again."""
    while True:
        begun = time.monotonic()
        try:
            connect(address, port, timeout).close()
        except OSError as error:
            seconds = time.monotonic() - begun
            reason = reason_of(error, place.system)
            tries -= 1
            if tries > 0 and reason in ("timeout", "reset"):
                continue
            words = error.strerror or str(error)
            return Attempt(address.text, reason, words, error.errno or 0, seconds, source_of(address))
        return Attempt(address.text, seconds=time.monotonic() - begun, source=source_of(address))


def connection_cause(
    tried: Attempt, address: Address, place: ClientEnvironment, open_ports: Sequence[int], other_url: str
) -> Cause:
    """What a failed attempt means. Pure: recorded errors of other systems are judged the same.

    Args:
        open_ports: other ports of the same address on which something answered, if only "refused" (then port 0).
        other_url: where on the same host a Hearth answers, "" if nowhere.
    """
    if other_url:
        return causes.WRONG_PORT
    if place.in_container and address.is_loopback and tried.reason == "refused":
        return causes.LOCALHOST_IN_CONTAINER
    match tried.reason:
        case "refused":
            return causes.PORT_REFUSED
        case "forbidden":
            return causes.CONNECTION_FORBIDDEN
        case "timeout" | "host-down" | "host-unreachable" | "network-unreachable" if is_docker_address(
            tried.address
        ) and not same_network(tried.source, tried.address):
            return causes.DOCKER_ADDRESS
        case "host-unreachable" if (
            place.system == "Darwin"
            and address.is_private
            and not place.exempt_from_local_network_privacy
            and _is_direct(tried)
        ):
            return causes.LOCAL_NETWORK_PRIVACY
        case "timeout" | "host-unreachable" if open_ports:
            return causes.PORT_FILTERED
        case "timeout":
            return causes.HOST_SILENT
        case "host-unreachable" | "host-down":
            return causes.HOST_UNREACHABLE
        case "network-unreachable":
            return causes.NETWORK_UNREACHABLE
    return causes.CONNECTION_FAILED


def _is_direct(tried: Attempt) -> bool:
    """Whether an address may well be of a network that this machine is in; some at home are wider than 24 bits."""
    ip = parse_ip(tried.address.partition("%")[0])
    if ip is not None and ip.is_link_local:
        return True
    return not tried.source or same_network(tried.source, tried.address, bits=16)


def describe_attempt(tried: Attempt, port: int) -> str:
    """An attempt as a sentence."""
    if not tried.reason:
        return f"{tried.address} port {port} took the call after {tried.seconds * 1000:.0f} ms"
    number = f" (error {tried.number})" if tried.number else ""
    elsewhere = ""
    if tried.source and not same_network(tried.source, tried.address) and not stays_here(tried.address):
        elsewhere = f"; this machine calls from {tried.source}, another network"
    return f"{tried.address} port {port}: {tried.error}{number} after {tried.seconds:.1f} s{elsewhere}"
