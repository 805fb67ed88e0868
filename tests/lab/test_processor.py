"""Processors without AVX: the guest's kernel on emulated ones, without a disk, and what it reports of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hearth.host.hardware import Hardware
from hearth.paths import CHECKOUT
from hearth.preflight.machine import Machine, machine_warnings, parse_machine
from lab import artefacts, qemu
from lab.progress import Stages

pytestmark = pytest.mark.scenario
PROBE = CHECKOUT / "hearth/preflight/machine_probe.sh"
# Proxmox's default type for virtual machines ("x86-64-v2-AES").
PROXMOX = "qemu64,+aes,+popcnt,+pni,+sse4.1,+sse4.2,+ssse3"


@pytest.fixture(scope="module")
def guest() -> Path:
    """The directory of the guest's kernel and initrd."""
    with Stages() as stages:
        return artefacts.build(("guest",), stages)["guest"]


def cpuinfo(guest: Path, processor: str) -> str:
    """/proc/cpuinfo of a guest with one processor of a type of QEMU's. Its only program prints that; then it panics."""
    words = [
        *(qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35", "-accel", "tcg", "-cpu", processor, "-m", "512", "-serial", "stdio"),
        *("-kernel", str(guest / "vmlinuz"), "-initrd", str(guest / "initrd"), "-append"),
        "console=ttyS0 quiet panic=-1 rdinit=/bin/sh -- "
        '-c "mkdir -p /proc; mount -t proc proc /proc; cat /proc/cpuinfo"',
    ]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    assert "vendor_id" in done.stdout, done.stdout + done.stderr
    return done.stdout.replace("\r", "")


def probe(text: str, tmp_path: Path) -> Machine:
    found = tmp_path / "cpuinfo"
    found.write_text(f"{text}\n")
    script = PROBE.read_text().replace("/proc/cpuinfo", str(found))
    done = subprocess.run(["sh", "-c", f"root=/\n{script}"], capture_output=True, text=True, check=True)
    return parse_machine(done.stdout.splitlines()[1:], in_container=False)


@pytest.mark.parametrize(("processor", "lacks_avx"), [(PROXMOX, True), ("Haswell", False)])
def test_processor_without_avx_gets_a_warning(guest: Path, tmp_path: Path, processor: str, lacks_avx: bool) -> None:
    found = probe(cpuinfo(guest, processor), tmp_path)
    assert (found.lacks_avx, found.is_virtual) == (lacks_avx, True)
    warnings = machine_warnings(found, Hardware(kernel="x86_64"), docker_mtu=1280)
    assert ["qm set ID --cpu host" in one for one in warnings] == ([True] if lacks_avx else [])
