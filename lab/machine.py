"""Whether this machine can run the lab: asked before anything is changed, answered in words that say what to do."""

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
# Another processor's Debian: its maintainer scripts run under emulation, which mmdebstrap asks about.
TO_BUILD_ARM64 = {"qemu-aarch64-static": "qemu-user-static", "arch-test": "arch-test"}
BUILD_DISK, RUN_DISK = (
    8 * GIB,
    4 * GIB,
)  # measured: 4.5 GiB at the height of a build; an overlay after a deploy 2 GiB


def to_run(guest: Guest) -> dict[str, str]:
    """The commands that running this guest takes, with the packages that have them."""
    board = qemu.BOARDS[guest.architecture]
    return {board.program: board.package, **TO_RUN}


def to_build(guest: Guest, mode: str = BUILT) -> dict[str, str]:
    """The commands that building it takes, with the packages that have them. `mode`: one of lab.hub.MODES."""
    return {
        **(TO_BUILD_GUEST if mode == HUB else TO_BUILD),
        **(TO_BUILD_ARM64 if guest.architecture == "arm64" else {}),
    }


def check_commands(wanted: dict[str, str]) -> None:
    """LabError naming the packages of the commands that are missing."""
    missing = sorted({package for command, package in wanted.items() if not shutil.which(command)})
    if missing:
        raise LabError(f"The lab needs these Debian packages: {' '.join(missing)}. Install them with: lab/machine.sh")


def check_qemu(guest: Guest) -> None:
    """LabError when QEMU is one that can't run the guest."""
    if platform.machine() != "x86_64":
        raise LabError(f"The lab is built on x86-64 machines; this one is {platform.machine()}.")
    if not (guest.architecture == "amd64" and os.access("/dev/kvm", os.R_OK | os.W_OK)):
        check_emulation(guest)


def check_emulation(guest: Guest) -> None:
    """LabError when QEMU is one that can't run the guest without KVM."""
    found = qemu.version(guest.architecture)
    if found < (8,):
        shown = ".".join(map(str, found))
        raise LabError(
            f"QEMU {shown} is too old: guests panic under its emulation (seen with 7.2), and KVM does not work here. "
            f"Take {qemu.BOARDS[guest.architecture].package} and qemu-utils from bookworm-backports; "
            "lab/machine.sh does that."
        )


def check_root() -> None:
    """LabError when this is neither root nor somebody whom sudo lets in without a question."""
    if os.geteuid() == 0:
        return
    try:
        shell.read(["true"], root=True)
    except LabError as error:
        raise LabError(
            f"Building the lab makes Debian root directories: be root, or run `sudo -v` first. ({error})"
        ) from None


def check_disk(needs: Iterable[tuple[Path, int]]) -> None:
    """LabError when a file system has less room than the sum of what is asked of it; `needs` are (path, bytes)."""
    sums: dict[int, tuple[Path, int]] = {}
    for path, wanted in needs:
        while not path.exists():
            path = path.parent
        device = path.stat().st_dev
        sums[device] = (path, sums.get(device, (path, 0))[1] + wanted)
    for path, wanted in sums.values():
        there = shutil.disk_usage(path).free
        if there < wanted:
            raise LabError(
                f"The disk of {path} has {there / GIB:.1f} GiB free; the lab needs {wanted / GIB:.1f} GiB there."
            )


def check_room(checkout: Path, building: bool) -> None:
    """LabError when the disks of the cache and of the checkout can't hold what is coming."""
    check_disk([(checkout, RUN_DISK), *([(cache.root(), BUILD_DISK)] if building else [])])


def check_memory(guest: int, info: str | None = None) -> None:
    """LabError when the guest's memory (MiB) and 512 MiB for what runs beside it are not available."""
    text = info if info is not None else Path("/proc/meminfo").read_text()
    there = next(int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
    if there < guest + 512:
        raise LabError(
            f"This machine has {there} MiB of memory available; a guest of {guest} MiB needs {guest + 512} MiB. "
            "End something, or give the guest less with --memory."
        )
