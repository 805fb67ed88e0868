"""This machine's table of neighbours (ARP and NDP): whether a device with an address is on its network."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearth.doctor.client_environment import ClientEnvironment

# "alive": the device responded within the last minute; "present": its hardware address is known; "silent": this
# machine asked for it, and no device responded; "none": the table has no entry; "": the table could not be read.
State = Literal["alive", "present", "silent", "none", ""]

_HARDWARE = re.compile(r"(?<![0-9a-f:-])[0-9a-f]{1,2}(?:[:-][0-9a-f]{1,2}){5}(?![0-9a-f:-])", re.IGNORECASE)
_PROC = Path("/proc/net/arp")
_SECONDS = 5


@dataclass(frozen=True)
class Neighbour:
    """What the table says of an address, and the hardware address of its device; "" without one."""

    state: State = ""
    hardware: str = ""


def neighbour_of(address: str, environment: ClientEnvironment) -> Neighbour:
    """Look an address up. Sends nothing, so do it after an attempt to connect."""
    version = 6 if ":" in address else 4
    match environment.system:
        case "Darwin":
            return _ask(["ndp", "-an"] if version == 6 else ["arp", "-an"], parse_table, address)
        case "Windows":
            command = ["netsh", "interface", "ipv6", "show", "neighbors"] if version == 6 else ["arp", "-a"]
            return _ask(command, parse_table, address)
    plain = address.partition("%")[0]
    found = _ask(["ip", "-j", f"-{version}", "neigh", "show", "to", plain], parse_linux, address)
    if found.state or version == 6:
        return found
    try:
        return parse_proc(_PROC.read_text(), address)
    except OSError:
        return Neighbour()


def _ask(command: list[str], parse: Callable[[str, str], Neighbour], address: str) -> Neighbour:
    """Parse a program's output; unknown if there is no such program, or it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",  # Windows prints in the code page of its console
            timeout=_SECONDS,
            env=os.environ | {"LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return Neighbour()
    return parse(done.stdout, address) if done.returncode == 0 else Neighbour()


def parse_linux(text: str, address: str) -> Neighbour:  # noqa: ARG001
    """The output of `ip -j neigh show to ADDRESS`: a list of entries, one for each interface."""
    try:
        entries = [(entry.get("lladdr", ""), set(entry.get("state", ()))) for entry in json.loads(text or "[]")]
    except (ValueError, AttributeError, TypeError):
        return Neighbour()
    for hardware, states in entries:
        if hardware and states & {"REACHABLE"}:
            return Neighbour("alive", hardware)
    for hardware, states in entries:
        if hardware and not states & {"FAILED", "INCOMPLETE"}:
            return Neighbour("present", hardware)
    return Neighbour("silent" if entries else "none")


def parse_proc(text: str, address: str) -> Neighbour:
    """`/proc/net/arp`: a heading, then address, type, flags (0x2: resolved), hardware address, mask, interface."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[0] == address:
            return Neighbour("present", fields[3]) if int(fields[2], 16) & 2 else Neighbour("silent")
    return Neighbour("none")


def parse_table(text: str, address: str) -> Neighbour:
    """The tables of macOS and Windows: a row has the address, and the hardware address unless no device responded.

    macOS, `arp -an`: `? (192.168.1.189) at dc:a6:32:1:2:3 on en0 …` or `… at (incomplete) on en0 …`; `ndp -an`:
    `fe80::1%en0 dc:a6:32:1:2:3 en0 …`. Windows, `arp -a` and `netsh interface ipv6 show neighbors`: both addresses, and
    words in Windows' language.
    """
    wanted, found = _ip(address), Neighbour("none")
    for line in text.splitlines():
        first, second, *_ = [*line.split(), "", ""]
        if wanted not in (_ip(first), _ip(second[1:-1]) if second.startswith("(") else None):
            continue
        hardware = _HARDWARE.search(line)
        if hardware and set(hardware[0]) - set("0:-"):
            return Neighbour("present", hardware[0])
        found = Neighbour("silent")
    return found


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in a text, without its interface."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
