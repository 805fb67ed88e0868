"""TCP listeners of a host, from the output of `ss` and `docker ps`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Programs choose their own names, quotes and line ends included.
_PROGRAM = re.compile(r'users:\(\("(?P<name>.+?)",pid=(?P<pid>\d+)')
_PUBLISHED = re.compile(r"(?:^|[ ,])([0-9.]+|\[?[0-9a-f:]+\]?):(\d+)(?:-(\d+))?->[\d-]+/tcp")
_ANY = ("0.0.0.0", "[::]", "*")


@dataclass(frozen=True)
class Listener:
    """A listening socket: address in the notation of `ss` (`*`, `127.0.0.1`, `[::]`), port, program, process id."""

    address: str
    port: int
    program: str
    pid: int

    def collides(self, address: str, port: int) -> bool:
        """Whether it prevents others from listening on `address` (`0.0.0.0` for all) and `port`."""
        return self.port == port and overlap(self.address, address)


def overlap(one: str, other: str) -> bool:
    """Whether two listeners on these addresses and the same port exclude each other."""
    return one == other or one in _ANY or other in _ANY


def parse_listeners(lines: Iterable[str]) -> tuple[Listener, ...]:
    """Listeners from the lines of `ss -H -ltnp`."""
    found = []
    for line in lines:
        fields = line.split()
        address, _, port = fields[3].rpartition(":") if fields[:1] == ["LISTEN"] and len(fields) > 3 else ("", "", "")
        if not port.isdecimal():
            continue  # the rest of a program's name
        program = _PROGRAM.search(line)
        found.append(
            Listener(
                address=address.partition("%")[0],
                port=int(port),
                program=program["name"] if program else "",
                pid=int(program["pid"]) if program else 0,
            )
        )
    return tuple(found)


def parse_published(ports: str) -> frozenset[tuple[str, int]]:
    """Addresses and TCP ports of the host from a `Ports` field of `docker ps`.

    Such as `0.0.0.0:85->80/tcp, :::85->80/tcp, 127.0.0.1:11434->11434/tcp`; newer engines write `[::]:85->80/tcp`.
    """
    found: set[tuple[str, int]] = set()
    for address, first, last in _PUBLISHED.findall(ports):
        bracketed = f"[{address}]" if ":" in address and not address.startswith("[") else address
        found.update((bracketed, port) for port in range(int(first), int(last or first) + 1))
    return frozenset(found)
