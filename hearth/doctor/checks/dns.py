"""The step that resolves the host name."""

from __future__ import annotations

import socket

from hearth.doctor.address import Address, addresses_of
from hearth.doctor.causes import network as causes
from hearth.doctor.causes.cause import Cause, Finding
from hearth.doctor.checks.result import Step
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.target import Target, parse_ip
from hearth.paths import CONTAINERS

# Names that resolve only inside Docker.
_DOCKER_NAMES = frozenset({"ollama", "httpd", *CONTAINERS.values()})


def check_name(target: Target, environment: ClientEnvironment, timeout: float) -> tuple[Step, list[Address]]:
    """The step, and the addresses; none if it failed."""
    values = {
        "host": target.host,
        "port": target.port,
        "how_mdns": causes.HOW_MDNS.get(_mdns_platform(environment), ""),
    }
    try:
        addresses = addresses_of(target.host, target.port, timeout)
    except (OSError, TimeoutError) as error:
        observed = f"{target.host}: {error.strerror if isinstance(error, socket.gaierror) else error}"
        return Step("name", observed, (Finding(resolution_cause(target.host, error), observed, values),), ends=True), []
    texts = [address.text for address in addresses]
    observed = (
        f"{target.host} resolves to {', '.join(texts)}"
        if target.is_name
        else f"{target.host} is an address, not a name"
    )
    findings = []
    ip = parse_ip(target.host)
    if ip is not None and ip.is_unspecified:
        findings.append(Finding(causes.UNSPECIFIED_ADDRESS, observed, values))
    elif target.is_name and target.host != "localhost" and all(address.is_loopback for address in addresses):
        findings.append(Finding(causes.NAME_IS_LOOPBACK, observed, values))
    elif target.is_name and "." not in target.host and not any(a.is_private or a.is_loopback for a in addresses):
        findings.append(Finding(causes.NAME_IS_PUBLIC, observed, values))
    return Step("name", observed, tuple(findings), {"addresses": texts}), addresses


def _mdns_platform(environment: ClientEnvironment) -> str:
    return "WSL" if environment.is_wsl else environment.system


def resolution_cause(host: str, error: OSError) -> Cause:
    """Why a name does not resolve.

    Args:
        error: a `socket.gaierror`, or TimeoutError if the resolver did not respond.
    """
    if host in _DOCKER_NAMES or host == "host.docker.internal":
        return causes.DOCKER_NAME
    if host.endswith(".local"):
        return causes.MDNS_NAME_UNKNOWN
    if isinstance(error, TimeoutError) or error.errno == socket.EAI_AGAIN:
        return causes.DNS_SILENT
    return causes.NAME_UNKNOWN
