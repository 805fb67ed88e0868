"""The step that connects to every address of the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hearth.doctor.address import Address, stays_here
from hearth.doctor.causes import network as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.other_ports import OtherPorts, scan_other_ports
from hearth.doctor.checks.result import Step
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.target import Target
from hearth.doctor.tcp import Attempt, attempt, connection_cause, describe_attempt


def check_connection(
    target: Target, addresses: Sequence[Address], place: ClientEnvironment, timeout: float, tries: int
) -> tuple[Step, Address | None]:
    """The step, and the first address that took the call; None if there is none."""
    attempts = [attempt(address, target.port, timeout, place, tries) for address in addresses]
    tried = list(zip(addresses, attempts, strict=True))
    working = next((address for address, one in tried if not one.reason), None)
    if working:
        return _some_fail(target, attempts), working
    # An IPv6 address alone says little: many homes have no way that leads to it.
    address, one = min(tried, key=lambda pair: ":" in pair[1].address)
    beside = OtherPorts()
    if one.reason in ("refused", "timeout", "host-unreachable"):
        beside = scan_other_ports(target, address, min(timeout, 2.0), place)
    cause = connection_cause(one, address, place, beside.alive, beside.hearth)
    words: dict[str, object] = {
        "host": target.host,
        "port": target.port,
        "url": target.url,
        "address": one.address,
        "error": one.error,
        "terminal": place.terminal_named,
        "other_url": beside.hearth,
        "open_port": next(iter(beside.alive), ""),
        "what": {"refused": "nothing", "timeout": "no answer"}.get(one.reason, one.error),
    }
    seen = "; ".join(describe_attempt(each, target.port) for each in attempts)
    if beside.open and not stays_here(one.address):
        seen += f"; its ports {', '.join(map(str, beside.open))} are open"
    seen += "".join(f"; on port {port} there is {name}" for port, name in beside.web)
    data = {"attempts": [asdict(each) for each in attempts], "open_ports": list(beside.open)}
    return Step("connection", seen, (Finding(cause, seen, words),), data, ends=True), None


def _some_fail(target: Target, attempts: Sequence[Attempt]) -> Step:
    """The step where at least one address took the call."""
    failed = [one for one in attempts if one.reason]
    working = next(one for one in attempts if not one.reason)
    seen = "; ".join(describe_attempt(one, target.port) for one in attempts)
    words = {
        "host": target.host,
        "failing": ", ".join(one.address for one in failed),
        "working": working.address,
    }
    findings = (Finding(causes.SOME_ADDRESSES_FAIL, seen, words),) if failed else ()
    return Step("connection", seen, findings, {"attempts": [asdict(one) for one in attempts]})
