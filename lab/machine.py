"""Check whether this machine can run the lab, before anything is changed. Messages explain what to do."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab import cache, qemu, shell
from lab.errors import LabError
from lab.guests import Guest
from lab.hub import BUILT, HUB

GIB = 1 << 30
TO_RUN = {
    "qemu-img": "qemu-utils",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
TO_BUILD_GUEST = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "unshare": "util-linux",
    "apt-get": "apt",
}
TO_BUILD = {**TO_BUILD_GUEST, "buildah": "buildah", "dpkg-deb": "dpkg"}
# For another processor's Debian: its maintainer scripts run under emulation, which mmdebstrap checks with arch-test.
TO_BUILD_ARM64 = {"qemu-aarch64-static": "qemu-user-static", "arch-test": "arch-test"}
BUILD_DISK, RUN_DISK = (
    8 * GIB,
    4 * GIB,
)  # measured: 4.5 GiB at the peak of a build; an overlay after a deploy 2 GiB


def runtime_commands(guest: Guest) -> dict[str, str]:
    """The commands needed to run this guest, with their packages."""
    board = qemu.BOARDS[guest.architecture]
    return {board.program: board.package, **TO_RUN}


def build_commands(guest: Guest, mode: str = BUILT) -> dict[str, str]:
    """The commands needed to build this guest, with their packages. `mode`: one of lab.hub.MODES."""
    return {
        **(TO_BUILD_GUEST if mode == HUB else TO_BUILD),
        **(TO_BUILD_ARM64 if guest.architecture == "arm64" else {}),
    }


def check_commands(needed: dict[str, str]) -> None:
    """LabError with the packages of the missing commands."""
    missing = sorted({package for command, package in needed.items() if not shutil.which(command)})
    if missing:
        raise LabError(f"The lab needs these Debian packages: {' '.join(missing)}. Install them with: lab/machine.sh")


def check_qemu(guest: Guest) -> None:
    """LabError if this QEMU can't run the guest."""
    if platform.machine() != "x86_64":
        raise LabError(f"The lab needs an x86-64 machine; this one is {platform.machine()}.")
    if not (guest.architecture == "amd64" and os.access("/dev/kvm", os.R_OK | os.W_OK)):
        check_emulation(guest)


def check_emulation(guest: Guest) -> None:
    """LabError if this QEMU can't run the guest without KVM."""
    found = qemu.version(guest.architecture)
    if found < (8,):
        shown = ".".join(map(str, found))
        raise LabError(
            f"QEMU {shown} is too old: guests panic under its emulation (as with 7.2), and KVM does not work here. "
            f"Install {qemu.BOARDS[guest.architecture].package} and qemu-utils from bookworm-backports; "
            "lab/machine.sh does that."
        )


def check_root() -> None:
    """LabError unless this is root or can use sudo without a password."""
    if os.geteuid() == 0:
        return
    try:
        shell.read(["true"], root=True)
    except LabError as error:
        raise LabError(
            f"Building the lab needs root, for Debian root directories: run as root, or `sudo -v` first. ({error})"
        ) from None


def check_disk(needs: Iterable[tuple[Path, int]]) -> None:
    """LabError if a file system has less free space than the sum of its needs; `needs` are (path, bytes)."""
    sums: dict[int, tuple[Path, int]] = {}
    for path, needed in needs:
        while not path.exists():
            path = path.parent
        device = path.stat().st_dev
        sums[device] = (path, sums.get(device, (path, 0))[1] + needed)
    for path, needed in sums.values():
        free = shutil.disk_usage(path).free
        if free < needed:
            raise LabError(f"The disk of {path} has {free / GIB:.1f} GiB free; the lab needs {needed / GIB:.1f} GiB.")


def check_disk_space(checkout: Path, building: bool) -> None:
    """LabError if the disks of the cache and of the checkout have too little free space."""
    check_disk([(checkout, RUN_DISK), *([(cache.root(), BUILD_DISK)] if building else [])])


def check_memory(guest: int, info: str | None = None) -> None:
    """LabError unless the guest's memory (MiB) and 512 MiB for the lab's servers are available."""
    text = info if info is not None else Path("/proc/meminfo").read_text()
    available = next(int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
    if available < guest + 512:
        raise LabError(
            f"This machine has {available} MiB of memory available; a guest of {guest} MiB needs {guest + 512} MiB. "
            "Stop other programs, or give the guest less with --memory."
        )
