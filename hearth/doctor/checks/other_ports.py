"""Other ports of the host: whether it is there at all, and whether Hearth is on one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hearth.doctor.address import Address
from hearth.doctor.checks.server_identity import identify_server, probe_server, server_name
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.http_client import Endpoint
from hearth.doctor.target import DEFAULT_PORT, Target
from hearth.doctor.tcp import attempt

# ssh; http; Hearth; https; a Flask program; a proxy or web server of one's own; Ollama.
PORTS = (22, 80, DEFAULT_PORT, 443, 5001, 8080, 11434)


@dataclass(frozen=True)
class OtherPorts:
    """What the other ports showed.

    Attributes:
        alive: ports whose connection was taken or refused: somebody is there.
        open: those that took it.
        hearth: where a Hearth answers, "" if nowhere.
        ollama: where an Ollama itself answers, "" if nowhere.
        web: port → what answers HTTP there, in words.
    """

    alive: tuple[int, ...] = ()
    open: tuple[int, ...] = ()
    hearth: str = ""
    ollama: str = ""
    web: tuple[tuple[int, str], ...] = ()


def scan_other_ports(target: Target, address: Address, timeout: float, place: ClientEnvironment) -> OtherPorts:
    """Try the ports of PORTS but the target's own, all at once."""
    ports = [port for port in PORTS if port != target.port]
    with ThreadPoolExecutor(len(ports)) as pool:
        tried = dict(zip(ports, pool.map(lambda port: attempt(address, port, timeout, place), ports), strict=True))
    opened = tuple(port for port in ports if not tried[port].reason)
    hearth = ollama = ""
    web: list[tuple[int, str]] = []
    for port in (port for port in opened if port not in (22, 443)):
        there = target.at(port, "http")
        front = probe_server(Endpoint(there, address, timeout))
        if front is None:
            continue
        owner = identify_server(front)
        web.append((port, server_name(front)))
        if owner == "hearth":
            hearth = there.url
        elif owner == "ollama":
            ollama = there.url
    alive = tuple(port for port in ports if tried[port].reason in ("", "refused"))
    return OtherPorts(alive, opened, hearth, ollama, tuple(web))
