"""Whether KVM really works here: found out by booting the guest's kernel under it, once per machine boot."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from lab import cache, qemu

DEADLINE = 20  # seconds; with a KVM that works the kernel is there in one
_SIGN = b"Run /init as init process"  # the kernel came through and starts user space


def available(guest: Path) -> bool:
    """Whether `guest`'s kernel boots under KVM: some machines have a /dev/kvm under which it dies at once."""
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
    """Start the kernel with its initrd and no disk, and read its console until the sign, its end or the deadline."""
    argv = [
        *(qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *(*qemu.BOARDS["amd64"].words, "-accel", "kvm", "-m", "512", "-serial", "stdio"),
        *("-kernel", str(guest / "vmlinuz"), "-initrd", str(guest / "initrd")),
        *("-append", "console=ttyS0 panic=-1"),
    ]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    seen = b""
    until = time.monotonic() + DEADLINE
    try:
        while time.monotonic() < until:
            seen += process.stdout.read() or b""
            if _SIGN in seen:
                return True
            if b"KVM internal error" in seen or process.poll() is not None:
                return False  # QEMU stops the guest's processors and stays: no use in waiting
            time.sleep(0.05)
        return False
    finally:
        process.kill()
        process.wait()
