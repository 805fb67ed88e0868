"""Which programs a run starts on the guest, from the kernel's process accounting."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.lab.machine import on_guest

_FILE = "/run/process-accounting"
# acct(2), on x86-64; a fresh Debian has perl, but not the package acct.
_ON = f"sudo perl -e 'my $file = shift; syscall(163, $file) == 0 or die $!' {_FILE}"
_OFF = "sudo perl -e 'syscall(163, 0) == 0 or die $!'"
# struct acct_v3 of linux/acct.h.
_RECORD = struct.Struct("<BBH6If8H16s")
_FORKED_ONLY = 0x01


@dataclass
class Started:
    """What one ssh connection started: names of programs, and how many processes there were, subshells included."""

    programs: Counter[str] = field(default_factory=Counter)
    processes: int = 0


@contextmanager
def accounted() -> Iterator[Started]:
    """Count what the block's longest ssh connection starts; complete once the block has ended."""
    on_guest(f"sudo install -m 0600 /dev/null {_FILE}; {_ON}")
    started = Started()
    try:
        yield started
    finally:
        on_guest(_OFF)
    lines = on_guest(f"pgrep -d ' ' sshd; sudo base64 -w0 {_FILE}; sudo rm {_FILE}").splitlines()
    largest = max(_by_connection(base64.b64decode(lines[1]), {int(pid) for pid in lines[0].split()}), key=_size)
    started.programs, started.processes = largest.programs, largest.processes


def _size(one: Started) -> int:
    return one.processes


def _by_connection(records: bytes, servers: set[int]) -> list[Started]:
    """What each of sshd's processes started, directly or not. A process is recorded when it ends."""
    parents, names, programs = {}, {}, set()
    for fields in _RECORD.iter_unpack(records):
        flags, pid, parent, name = fields[0], fields[6], fields[7], fields[-1].rstrip(b"\0").decode()
        parents[pid], names[pid] = parent, name
        if not flags & _FORKED_ONLY:
            programs.add(pid)
        if name.startswith("sshd"):
            servers = servers | {pid}
    found: dict[int, Started] = {}
    for pid in parents:
        if pid in servers:
            continue
        above = parents[pid]
        while above in parents and above not in servers:
            above = parents[above]
        if above in servers:
            one = found.setdefault(above, Started())
            one.processes += 1
            if pid in programs:
                one.programs[names[pid]] += 1
    return list(found.values())
