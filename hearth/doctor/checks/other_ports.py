"""Other ports of the host: whether it is up at all, and whether Hearth is on one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hearth.doctor.address import Address
from hearth.doctor.checks.server_identity import identify_server, probe_server, server_name
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.http_client import Endpoint
from hearth.doctor.target import DEFAULT_PORT, Target
from hearth.doctor.tcp import try_connect

# ssh; http; Hearth; https; Flask; the usual port of other proxies and web servers; Ollama.
PORTS = (22, 80, DEFAULT_PORT, 443, 5001, 8080, 11434)


@dataclass(frozen=True)
class OtherPorts:
    """The result of the scan.

    Attributes:
        responding: ports that accepted or refused the connection, so the host is up.
        open: those that accepted it.
        hearth: URL of a Hearth, "" if there is none.
        ollama: URL of an Ollama, "" if there is none.
        web: (port, description of the HTTP server) pairs.
    """

    responding: tuple[int, ...] = ()
    open: tuple[int, ...] = ()
    hearth: str = ""
    ollama: str = ""
    web: tuple[tuple[int, str], ...] = ()


def scan_other_ports(target: Target, address: Address, timeout: float, environment: ClientEnvironment) -> OtherPorts:
    """Try all PORTS except the target's, in parallel."""
    ports = [port for port in PORTS if port != target.port]
    with ThreadPoolExecutor(len(ports)) as pool:
        attempts = dict(
            zip(ports, pool.map(lambda port: try_connect(address, port, timeout, environment), ports), strict=True)
        )
    open_ports = tuple(port for port in ports if not attempts[port].reason)
    hearth = ollama = ""
    web: list[tuple[int, str]] = []
    for port in (port for port in open_ports if port not in (22, 443)):
        candidate = target.at(port, "http")
        front = probe_server(Endpoint(candidate, address, timeout))
        if front is None:
            continue
        owner = identify_server(front)
        web.append((port, server_name(front)))
        if owner == "hearth":
            hearth = candidate.url
        elif owner == "ollama":
            ollama = candidate.url
    responding = tuple(port for port in ports if attempts[port].reason in ("", "refused"))
    return OtherPorts(responding, open_ports, hearth, ollama, tuple(web))
