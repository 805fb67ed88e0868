"""Addresses of a host, and their properties."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

from hearth.doctor.target import parse_ip


@dataclass(frozen=True)
class Address:
    """One address of a host, for `socket` and as text."""

    family: socket.AddressFamily
    sockaddr: tuple[str | int, ...]

    @property
    def text(self) -> str:
        return str(self.sockaddr[0])

    @property
    def is_private(self) -> bool:
        """The address is on a private network, not on the internet."""
        ip = parse_ip(self.text)
        return ip is not None and (ip.is_private or ip.is_link_local) and not ip.is_loopback

    @property
    def is_loopback(self) -> bool:
        ip = parse_ip(self.text)
        return ip is not None and ip.is_loopback


def addresses_of(host: str, port: int, timeout: float) -> list[Address]:
    """All addresses of the host, in the system's order.

    Raises:
        socket.gaierror: the system found none.
        TimeoutError: the lookup took longer than `timeout` seconds.
    """
    # The system's resolver has no timeout, so it runs in a daemon thread, which does not keep the process alive.
    found: list[Address] = []
    failed: list[OSError] = []

    def resolve() -> None:
        try:
            for family, _, _, _, sockaddr in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                if (address := Address(family, tuple(_plain(part) for part in sockaddr))) not in found:
                    found.append(address)
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else socket.gaierror(socket.EAI_NONAME, str(error)))

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise TimeoutError(f"no response within {timeout:g} s")
    if failed:
        raise failed[0]
    return found


def _plain(part: object) -> str | int:
    return part if isinstance(part, int) else str(part)


def same_network(one: str, other: str, bits: int = 24) -> bool:
    """Whether two addresses are probably on one network: the same first `bits` (IPv4), or 64 (IPv6)."""
    a, b = parse_ip(one.partition("%")[0]), parse_ip(other.partition("%")[0])
    if a is None or b is None or a.version != b.version:
        return False
    shift = 32 - bits if a.version == 4 else 64
    return int(a) >> shift == int(b) >> shift


def is_docker_address(text: str) -> bool:
    """Whether an address is in the first ranges that Docker assigns: 172.17.0.0 to 172.31.255.255."""
    ip = parse_ip(text)
    return ip is not None and ip.version == 4 and 0xAC11 <= int(ip) >> 16 <= 0xAC1F


def is_this_machine(text: str) -> bool:
    """Whether an address refers to this machine."""
    ip = parse_ip(text)
    return ip is not None and (ip.is_loopback or ip.is_unspecified)
