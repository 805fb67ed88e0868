"""The virtual machine: its command line, start and shutdown."""

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
        program: the QEMU that emulates it.
        package: the Debian package of that QEMU.
        arguments: of that program, for machine and processor.
        console: the kernel's name of the serial line.
        network: the network card.
    """

    program: str
    package: str
    arguments: tuple[str, ...]
    console: str
    network: str


BOARDS = {
    "amd64": Board(
        PROGRAM,
        "qemu-system-x86",
        # Without devices that an emulated guest would only waste time probing, and without nested virtualization, whose
        # state a snapshot would have to contain (under KVM, `max` enables it).
        ("-machine", "q35,sata=off,smbus=off", "-cpu", "max,svm=off,vmx=off"),
        "ttyS0",
        "virtio-net-pci",
    ),
    # The processor cores of a Pi 5. The card has no boot ROM, which would be in yet another package.
    "arm64": Board(
        "qemu-system-aarch64",
        "qemu-system-arm",
        ("-machine", "virt,gic-version=3", "-cpu", "cortex-a76"),
        "ttyAMA0",
        "virtio-net-pci,romfile=",
    ),
}
# A serial line is slow under emulation, and side-channel mitigations are pointless there: 57 s → 45 s until ssh.
KERNEL_ARGUMENTS = "root=/dev/vda rw console={} quiet mitigations=off panic=-1"


@dataclass(frozen=True)
class Machine:
    """Everything that QEMU is started with."""

    directory: Path  # the checkout's state directory: overlay, socket, console
    guest: Path  # the cached artefact with kernel and initrd
    accel: str  # kvm or tcg
    memory: int  # MiB
    forwards: Mapping[str, int]  # guest port -> port on this machine's loopback
    kernel_arguments: str = ""
    architecture: str = "amd64"
    firmware: str = ""  # an SMBIOS string, as -smbios expects it
    snapshot: str = ""  # start from this snapshot instead of booting


def accelerator(name: str) -> str:
    """QEMU's -accel value."""
    return "tcg,thread=multi" if name == "tcg" else name


def command(machine: Machine) -> list[str]:
    """The complete command line. Commas in file names are doubled, as QEMU requires."""
    forwards = [f"hostfwd=tcp:{ports.LOOPBACK}:{port}-:{guest}" for guest, port in machine.forwards.items()]
    overlay = str(machine.directory / "overlay.qcow2").replace(",", ",,")
    console = str(machine.directory / "console.log").replace(",", ",,")
    board = BOARDS[machine.architecture]
    arguments = KERNEL_ARGUMENTS.format(board.console)
    return [
        *(board.program, "-name", "hearth-lab", "-nodefaults", "-no-user-config", "-display", "none"),
        *(*board.arguments, "-accel", accelerator(machine.accel)),
        *("-smp", str(CPUS), "-m", str(machine.memory), "-rtc", "base=utc"),
        *("-kernel", str(machine.guest / "vmlinuz"), "-initrd", str(machine.guest / "initrd")),
        *("-append", f"{arguments} {machine.kernel_arguments}".strip()),
        # A throwaway machine: flushing to disk only costs time, and snapshots contain everything needed.
        *("-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={overlay}"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-netdev", ",".join(["user,id=net,ipv6=off", *forwards]), "-device", f"{board.network},netdev=net"),
        *("-chardev", f"file,id=console,append=on,path={console}", "-serial", "chardev:console"),
        # Relative, since a socket's path is limited to 107 bytes: QEMU is started in the state directory.
        *("-qmp", "unix:qmp.sock,server=on,wait=off", "-pidfile", "qemu.pid", "-daemonize"),
        *(["-smbios", machine.firmware] if machine.firmware else []),
        *(["-loadvm", machine.snapshot] if machine.snapshot else []),
    ]


def start(machine: Machine) -> int:
    """Start it in the background; its pid. LabError with QEMU's output if it does not start."""
    log = machine.directory / "qemu.log"
    log.unlink(missing_ok=True)
    shell.run(command(machine), log, timeout=120, cwd=machine.directory)
    return int((machine.directory / "qemu.pid").read_text())


def power_off(directory: Path, pid: int, deadline: float = 90) -> bool:
    """Press the power button and wait; after `deadline` seconds end QEMU. Whether the guest shut down by itself."""
    mark = str(directory)
    try:
        with qmp.monitor(directory) as monitor:
            until = time.monotonic() + deadline
            while time.monotonic() < until and process.is_ours(pid, mark):
                monitor.execute("system_powerdown")  # repeated: a guest that is still booting misses the first one
                if process.has_ended(pid, mark, 10):
                    return True
            monitor.execute("quit")
    except LabError:
        pass  # the monitor ends with QEMU, which we are waiting for
    if process.has_ended(pid, mark, 10):
        return True
    process.end(pid, mark)
    return False


def version(architecture: str = "amd64") -> tuple[int, ...]:
    """The installed QEMU's version, as (10, 0, 2)."""
    words = shell.read([BOARDS[architecture].program, "--version"]).split()
    return tuple(int(part) for part in words[words.index("version") + 1].split(".") if part.isdigit())
