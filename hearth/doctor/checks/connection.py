"""The step that connects to each address of the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hearth.doctor.address import Address, is_this_machine
from hearth.doctor.causes import network as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.other_ports import OtherPorts, scan_other_ports
from hearth.doctor.checks.result import Step
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.neighbours import Neighbour, neighbour_of
from hearth.doctor.target import Target
from hearth.doctor.tcp import Attempt, connection_cause, describe_attempt, try_connect


def check_connection(
    target: Target, addresses: Sequence[Address], environment: ClientEnvironment, timeout: float, tries: int
) -> tuple[Step, Address | None]:
    """The step, and the first address that accepted a connection; None if none did."""
    attempts = [try_connect(address, target.port, timeout, environment, tries) for address in addresses]
    tried = list(zip(addresses, attempts, strict=True))
    working = next((address for address, attempt in tried if not attempt.reason), None)
    if working:
        return _connected(target, attempts), working
    # Prefer an IPv4 address: many homes have no IPv6 route, so its failure means little.
    address, attempt = min(tried, key=lambda pair: ":" in pair[1].address)
    other_ports = OtherPorts()
    if attempt.reason in ("refused", "timeout", "host-unreachable"):
        other_ports = scan_other_ports(target, address, min(timeout, 2.0), environment)
    neighbour = Neighbour()
    if attempt.reason in ("timeout", "host-unreachable", "host-down") and not is_this_machine(attempt.address):
        neighbour = neighbour_of(attempt.address, environment)
    cause = connection_cause(attempt, address, environment, other_ports.responding, other_ports.hearth, neighbour)
    values: dict[str, object] = {
        "host": target.host,
        "port": target.port,
        "url": target.url,
        "address": attempt.address,
        "error": attempt.error,
        "terminal": environment.terminal_named,
        "hardware": neighbour.hardware,
        "other_url": other_ports.hearth,
        "open_port": next(iter(other_ports.responding), ""),
        "what": {"refused": "nothing listens there", "timeout": "no response"}.get(attempt.reason, attempt.error),
    }
    observed = "; ".join(describe_attempt(attempt, target.port) for attempt in attempts)
    if other_ports.open and not is_this_machine(attempt.address):
        observed += f"; its ports {', '.join(map(str, other_ports.open))} are open"
    observed += _describe(neighbour)
    observed += "".join(f"; port {port} is {name}" for port, name in other_ports.web)
    data = {
        "attempts": [asdict(attempt) for attempt in attempts],
        "open_ports": list(other_ports.open),
        "neighbour": asdict(neighbour),
    }
    return Step("connection", observed, (Finding(cause, observed, values),), data, ends=True), None


def _describe(neighbour: Neighbour) -> str:
    if neighbour.hardware:
        return f"; its hardware address, {neighbour.hardware}, is known here"
    return "; no device on this network has that address" if neighbour.state == "silent" else ""


def _connected(target: Target, attempts: Sequence[Attempt]) -> Step:
    """The step if at least one address accepted a connection."""
    failed = [attempt for attempt in attempts if attempt.reason]
    working = next(attempt for attempt in attempts if not attempt.reason)
    observed = "; ".join(describe_attempt(attempt, target.port) for attempt in attempts)
    values = {
        "host": target.host,
        "failing": ", ".join(attempt.address for attempt in failed),
        "working": working.address,
    }
    findings = (Finding(causes.SOME_ADDRESSES_FAIL, observed, values),) if failed else ()
    return Step("connection", observed, findings, {"attempts": [asdict(attempt) for attempt in attempts]})
