"""Hardware and kernel facts: the shell that collects them, and its parser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hearth.paths import BOOT_LINE, REBOOT_DUE

# Prints sections, for the facts that include it. The model ends with a zero byte; a boot line may lack a newline.
HARDWARE_SCRIPT = "; ".join(
    [
        r"echo @@board; { tr -d '\0' </proc/device-tree/model && echo; } 2>/dev/null",
        "echo @@kernel; uname -m; getconf PAGESIZE",
        "echo @@meminfo; grep -E '^(MemTotal|SwapTotal):' /proc/meminfo",
        "echo @@swaps; cat /proc/swaps 2>/dev/null",
        # The actual state, not the configured one: a kernel may not support an option on its command line
        # (raspberrypi/linux#6439), and /proc/cgroups omits the memory controller if only cgroup v1 is
        # missing (raspberrypi/linux#6980).
        "echo @@controllers; cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null || "
        "awk '$1 == \"memory\" && $4 == 1 {print $1}' /proc/cgroups 2>/dev/null",
        "echo @@cmdline; cat /proc/cmdline",
        f"echo @@boot_line; cat {BOOT_LINE} 2>/dev/null && echo",
        f"echo @@reboot_due; ls {REBOOT_DUE} 2>/dev/null",
        "echo @@firmware; command -v vcgencmd >/dev/null && "
        "{ timeout 5 vcgencmd get_throttled; timeout 5 vcgencmd measure_temp; } 2>/dev/null",
    ]
)
_KB = 1024


@dataclass(frozen=True)
class Swap:
    """A swap file or device, and its size in bytes. One in memory (zram) frees little."""

    path: str
    size: int

    @property
    def in_memory(self) -> bool:
        return self.path.startswith("/dev/zram")


@dataclass(frozen=True)
class Hardware:
    """A host's hardware and kernel.

    Attributes:
        model: of a board with a device tree ("Raspberry Pi 5 Model B Rev 1.0"); "" for others.
        kernel: from `uname -m`; the programs may have another architecture.
        page_size: bytes; 0 if unknown.
        memory: bytes that the kernel has; 0 if unknown.
        swaps: all active ones.
        memory_cgroup_enabled: the kernel enforces memory limits of containers; None if unknown.
        cmdline: options that the kernel was started with.
        boot_line: text of the firmware's file of kernel options for the next start; None if there is no such file.
        reboot_due: Hearth changed that file, and the host has not been rebooted since.
        throttled: the firmware's bits for power and heat; None if unknown.
        temperature: of the processor, in °C; None if unknown.
    """

    model: str = ""
    kernel: str = ""
    page_size: int = 0
    memory: int = 0
    swaps: tuple[Swap, ...] = ()
    memory_cgroup_enabled: bool | None = None
    cmdline: tuple[str, ...] = ()
    boot_line: str | None = None
    reboot_due: bool = False
    throttled: int | None = None
    temperature: float | None = None

    @property
    def is_pi(self) -> bool:
        return self.model.startswith("Raspberry Pi")


def parse_hardware(sections: Mapping[str, list[str]]) -> Hardware:
    """Parse the sections that `HARDWARE_SCRIPT` prints."""
    meminfo = {words[0]: int(words[1]) * _KB for words in map(str.split, sections.get("meminfo", [])) if len(words) > 1}
    kernel, page_size, *_ = [*sections.get("kernel", []), "", ""]
    boot_line = sections.get("boot_line")
    throttled, temperature = _firmware(sections.get("firmware", []))
    return Hardware(
        model=next(iter(sections.get("board", [])), "").strip(),
        kernel=kernel,
        page_size=int(page_size) if page_size.isdigit() else 0,
        memory=meminfo.get("MemTotal:", 0),
        swaps=_swaps(sections.get("swaps", [])),
        memory_cgroup_enabled="memory" in " ".join(sections["controllers"]).split()
        if "controllers" in sections
        else None,
        cmdline=tuple(" ".join(sections.get("cmdline", [])).split()),
        boot_line="\n".join(boot_line) if boot_line else None,
        reboot_due=bool(sections.get("reboot_due")),
        throttled=throttled,
        temperature=temperature,
    )


def _swaps(lines: Iterable[str]) -> tuple[Swap, ...]:
    """Parse `/proc/swaps`: a heading, then name, type, kB, kB used, priority."""
    fields = (line.split() for line in lines)
    return tuple(Swap(one[0], int(one[2]) * _KB) for one in fields if len(one) > 3 and one[2].isdigit())


def _firmware(lines: Iterable[str]) -> tuple[int | None, float | None]:
    """Parse `throttled=0x50005` and `temp=62.3'C`; error messages ("VCHI initialization failed") are ignored."""
    values = {name: value for name, _, value in (line.partition("=") for line in lines)}
    try:
        throttled = int(values["throttled"], 16)
    except (KeyError, ValueError):
        throttled = None
    try:
        temperature = float(values["temp"].partition("'")[0])
    except (KeyError, ValueError):
        temperature = None
    return throttled, temperature
