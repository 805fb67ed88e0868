"""Ports on this machine's loopback: find free ones, keep the ones that a checkout already had."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping

from lab import shell
from lab.errors import LabError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of an earlier run does not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free(count: int, taken: Iterable[int] = ()) -> list[int]:
    """`count` different free ports, none of them among `taken`."""
    refused = set(taken)
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        while len(found) < count:
            probe = socket.socket()
            held.append(probe)  # held open until all are found, which prevents duplicates
            probe.bind((LOOPBACK, 0))
            port = probe.getsockname()[1]
            if port not in refused:
                found.append(port)
    finally:
        for probe in held:
            probe.close()
    return found


def choose(names: Iterable[str], wanted: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the requested one (LabError if taken), else the one it had if free, else a new one."""
    names = list(names)
    chosen: dict[str, int] = {}
    for name in names:
        port = wanted.get(name)
        if port is not None:
            if port in chosen.values():
                raise LabError(f"Port {port} was requested twice.")
            if not is_free(port):
                raise LabError(f"Port {port} on {LOOPBACK} is taken{holder(port)}. Choose another one.")
            chosen[name] = port
    for name in names:
        port = before.get(name)
        if name not in chosen and port is not None and port not in chosen.values() and is_free(port):
            chosen[name] = port
    missing = [name for name in names if name not in chosen]
    chosen.update(zip(missing, free(len(missing), chosen.values()), strict=True))
    return {name: chosen[name] for name in names}


def holder(port: int) -> str:
    """Who listens on a port, as " (by NAME, pid N)"; empty if unknown."""
    try:
        line = shell.read(["ss", "-Hltnp", f"sport = :{port}"])
    except LabError:
        return ""
    found = re.search(r'\(\("([^"]+)",pid=(\d+)', line)
    return f" (by {found[1]}, pid {found[2]})" if found else ""
