"""Test whether KVM works on this machine, by booting the guest's kernel under it, once per boot of the machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from lab import cache, qemu

DEADLINE = 20  # seconds; under working KVM the kernel needs one
_MARKER = b"Run /init as init process"  # the kernel has booted and starts user space


def available(guest: Path) -> bool:
    """Whether `guest`'s kernel boots under KVM: on some machines with a /dev/kvm it crashes at once."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    verdict = cache.root() / f"kvm-{cache.key_of(guest.name, repr(qemu.version()), boot)}"
    if not verdict.exists():
        for older in cache.root().glob("kvm-*"):
            older.unlink(missing_ok=True)
        verdict.write_text("works\n" if _boots(guest) else "fails\n")
    return verdict.read_text() == "works\n"


def _boots(guest: Path) -> bool:
    """Start the kernel with its initrd and no disk, and read its console until the marker, its end or the deadline."""
    argv = [
        *(qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *(*qemu.BOARDS["amd64"].arguments, "-accel", "kvm", "-m", "512", "-serial", "stdio"),
        *("-kernel", str(guest / "vmlinuz"), "-initrd", str(guest / "initrd")),
        *("-append", "console=ttyS0 panic=-1"),
    ]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    output = b""
    until = time.monotonic() + DEADLINE
    try:
        while time.monotonic() < until:
            output += process.stdout.read() or b""
            if _MARKER in output:
                return True
            if b"KVM internal error" in output or process.poll() is not None:
                return False  # QEMU stops the guest's processors but keeps running
            time.sleep(0.05)
        return False
    finally:
        process.kill()
        process.wait()
