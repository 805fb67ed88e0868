"""The machine's plug: pull it, put it back, and keep what the disk holds at a moment, which is what a cut would leave.

The plug is QEMU's own `quit`: it ends at once, and with it the guest's memory and every write that the guest had not
yet handed to its disk. `kill -9` of QEMU would be another thing: the disk is opened with cache=unsafe, so QEMU's own
bookkeeping of the qcow2 file would be lost too, which no real disk does.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from lab import process, qmp, state
from lab.errors import LabError
from tests.lab.machine import ROOT

_OVERLAY = state.DIRECTORY / "overlay.qcow2"


def cut() -> None:
    """Pull the plug."""
    pid = state.load().pids[state.QEMU]
    with suppress(LabError), qmp.monitor(state.DIRECTORY) as monitor:
        monitor.execute("quit")
    assert process.has_ended(pid, str(state.DIRECTORY), 60), "QEMU did not end"


def boot() -> None:
    """Put the plug back, and wait until the machine lets us in."""
    subprocess.run([sys.executable, "-m", "lab", "up"], cwd=ROOT, check=True, capture_output=True, timeout=400)


def keep_disk(name: str) -> None:
    """Keep what the disk holds now, while the machine runs on: what a cut at this moment would leave."""
    with qmp.monitor(state.DIRECTORY) as monitor:
        monitor.execute("blockdev-snapshot-internal-sync", device="disk", name=name)


def boot_disk(name: str) -> None:
    """Pull the plug, and boot from what `keep_disk` kept, with nothing of the memory of then."""
    if state.load().alive(state.QEMU):
        cut()
    _disk_image("-a", name)
    boot()


def forget_disks(prefix: str) -> None:
    """Forget what was kept under names with this prefix. The machine must be off, or its disk is left alone."""
    if state.load().alive(state.QEMU):
        cut()
    listed = subprocess.run(
        ["qemu-img", "snapshot", "-l", str(_OVERLAY)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    for name in [word for line in listed.splitlines() for word in line.split()[1:2] if word.startswith(prefix)]:
        _disk_image("-d", name)


def _disk_image(option: str, name: str) -> None:
    subprocess.run(["qemu-img", "snapshot", option, name, str(_OVERLAY)], check=True, capture_output=True, timeout=120)
