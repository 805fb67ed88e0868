"""The machine's power: cut it, restore it, and save the disk's content at a moment, which is what a power cut leaves.

A power cut is QEMU's `quit`: it ends immediately, and the guest's memory and all writes that have not reached its disk
are lost. `kill -9` of QEMU would do more: the disk is opened with cache=unsafe, so QEMU's metadata of the qcow2 file
would be lost as well, unlike with a real disk.
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
    """Cut the power."""
    pid = state.load().pids[state.QEMU]
    with suppress(LabError), qmp.monitor(state.DIRECTORY) as monitor:
        monitor.execute("quit")
    assert process.has_ended(pid, str(state.DIRECTORY), 60), "QEMU did not end"


def boot() -> None:
    """Restore the power, and wait until ssh works."""
    subprocess.run([sys.executable, "-m", "lab", "up"], cwd=ROOT, check=True, capture_output=True, timeout=400)


def save_disk(name: str) -> None:
    """Save the disk's current content, which is what a power cut would leave; the machine continues to run."""
    with qmp.monitor(state.DIRECTORY) as monitor:
        monitor.execute("blockdev-snapshot-internal-sync", device="disk", name=name)


def boot_disk(name: str) -> None:
    """Cut the power, and boot from what `save_disk` saved, without the memory of that moment."""
    if state.load().alive(state.QEMU):
        cut()
    _disk_image("-a", name)
    boot()


def delete_disks(prefix: str) -> None:
    """Delete the saved disks whose names have this prefix; the machine is switched off first."""
    if state.load().alive(state.QEMU):
        cut()
    listed = subprocess.run(
        ["qemu-img", "snapshot", "-l", str(_OVERLAY)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    for name in [word for line in listed.splitlines() for word in line.split()[1:2] if word.startswith(prefix)]:
        _disk_image("-d", name)


def _disk_image(option: str, name: str) -> None:
    subprocess.run(["qemu-img", "snapshot", option, name, str(_OVERLAY)], check=True, capture_output=True, timeout=120)
