"""The virtual machine: its command line, starting it, ending it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import ports, process, qmp, shell
from lab.errors import LabError

PROGRAM = "qemu-system-x86_64"
CPUS = 2


@dataclass(frozen=True)
class Board:
    """The hardware of one architecture.

    Attributes:
        program: the QEMU that has it.
        package: the Debian package of that QEMU.
        words: machine and processor, as the program takes them.
        console: the kernel's name of the serial line.
        network: the network card.
    """

    program: str
    package: str
    words: tuple[str, ...]
    console: str
    network: str


BOARDS = {
    "amd64": Board(
        PROGRAM,
        "qemu-system-x86",
        # Without the parts that a guest would only spend its emulated time probing, and without virtual machines in the
        # guest: under KVM, `max` would hand it the processor's own, whose state a snapshot would have to keep.
        ("-machine", "q35,sata=off,smbus=off", "-cpu", "max,svm=off,vmx=off"),
        "ttyS0",
        "virtio-net-pci",
    ),
    # The processor cores of a Pi 5. The card has no start-up program, which QEMU would take from yet another package.
    "arm64": Board(
        "qemu-system-aarch64",
        "qemu-system-arm",
        ("-machine", "virt,gic-version=3", "-cpu", "cortex-a76"),
        "ttyAMA0",
        "virtio-net-pci,romfile=",
    ),
}
# A serial line is slow under emulation and guarding against side channels pointless there: 57 s → 45 s until ssh.
KERNEL_ARGUMENTS = "root=/dev/vda rw console={} quiet mitigations=off panic=-1"


@dataclass(frozen=True)
class Machine:
    """All that decides how QEMU is started."""

    directory: Path  # the checkout's state directory: overlay, socket, console
    guest: Path  # the cached artefact with kernel and initrd
    accel: str  # kvm or tcg
    memory: int  # MiB
    forwards: Mapping[str, int]  # guest port -> port on this machine's loopback
    kernel_arguments: str = ""
    architecture: str = "amd64"
    firmware: str = ""  # a string of the firmware's own, as -smbios takes it
    snapshot: str = ""  # go on from this snapshot instead of booting


def accelerator(name: str) -> str:
    """QEMU's -accel value."""
    return "tcg,thread=multi" if name == "tcg" else name


def command(machine: Machine) -> list[str]:
    """The whole command line. Commas in a file name are doubled, as QEMU wants it."""
    forwards = [f"hostfwd=tcp:{ports.LOOPBACK}:{port}-:{guest}" for guest, port in machine.forwards.items()]
    overlay = str(machine.directory / "overlay.qcow2").replace(",", ",,")
    console = str(machine.directory / "console.log").replace(",", ",,")
    board = BOARDS[machine.architecture]
    arguments = KERNEL_ARGUMENTS.format(board.console)
    return [
        *(board.program, "-name", "hearth-lab", "-nodefaults", "-no-user-config", "-display", "none"),
        *(*board.words, "-accel", accelerator(machine.accel)),
        *("-smp", str(CPUS), "-m", str(machine.memory), "-rtc", "base=utc"),
        *("-kernel", str(machine.guest / "vmlinuz"), "-initrd", str(machine.guest / "initrd")),
        *("-append", f"{arguments} {machine.kernel_arguments}".strip()),
        # A throwaway machine: flushes to the disk only cost time, what matters is in the snapshots.
        *("-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={overlay}"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-netdev", ",".join(["user,id=net,ipv6=off", *forwards]), "-device", f"{board.network},netdev=net"),
        *("-chardev", f"file,id=console,append=on,path={console}", "-serial", "chardev:console"),
        # Relative, since a socket's path may be no longer than 107 bytes: QEMU is started in the state directory.
        *("-qmp", "unix:qmp.sock,server=on,wait=off", "-pidfile", "qemu.pid", "-daemonize"),
        *(["-smbios", machine.firmware] if machine.firmware else []),
        *(["-loadvm", machine.snapshot] if machine.snapshot else []),
    ]


def start(machine: Machine) -> int:
    """Start it in the background; its pid. LabError with QEMU's own words when it does not start."""
    log = machine.directory / "qemu.log"
    log.unlink(missing_ok=True)
    shell.run(command(machine), log, timeout=120, cwd=machine.directory)
    return int((machine.directory / "qemu.pid").read_text())


def power_off(directory: Path, pid: int, deadline: float = 90) -> bool:
    """Press the power button and wait; after `deadline` seconds end QEMU. Whether the guest went down by itself."""
    mark = str(directory)
    try:
        with qmp.monitor(directory) as monitor:
            until = time.monotonic() + deadline
            while time.monotonic() < until and process.is_ours(pid, mark):
                monitor.execute("system_powerdown")  # again: a guest that is still booting misses the first one
                if process.gone(pid, mark, 10):
                    return True
            monitor.execute("quit")
    except LabError:
        pass  # the monitor goes away with QEMU, which is what we are waiting for
    if process.gone(pid, mark, 10):
        return True
    process.end(pid, mark)
    return False


def version(architecture: str = "amd64") -> tuple[int, ...]:
    """The installed QEMU's version, as (10, 0, 2)."""
    words = shell.read([BOARDS[architecture].program, "--version"]).split()
    return tuple(int(part) for part in words[words.index("version") + 1].split(".") if part.isdigit())
