"""What a host is made of: its hardware, memory, swap and kernel. The questions, and how their answers are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hearth.paths import BOOT_LINE, REBOOT_DUE

# In sections, for the fact that asks. The model ends with a zero byte; a boot line may end without a newline.
HARDWARE_QUESTIONS = "; ".join(
    [
        r"echo @@board; { tr -d '\0' </proc/device-tree/model && echo; } 2>/dev/null",
        "echo @@kernel; uname -m; getconf PAGESIZE",
        "echo @@meminfo; grep -E '^(MemTotal|SwapTotal):' /proc/meminfo",
        "echo @@swaps; cat /proc/swaps 2>/dev/null",
        # What is in force, not what was asked for: a kernel may not know the words on its command line
        # (raspberrypi/linux#6439), and /proc/cgroups leaves the memory controller out where only the old kind of it is
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
    """A place to move memory to: file or device, and its size in bytes. One in memory itself (zram) frees little."""

    place: str
    size: int

    @property
    def in_memory(self) -> bool:
        return self.place.startswith("/dev/zram")


@dataclass(frozen=True)
class Hardware:
    """A host's hardware and kernel, as the host shows it.

    Attributes:
        model: of a board with a device tree ("Raspberry Pi 5 Model B Rev 1.0"); "" for others.
        kernel: as `uname -m` says it; what the programs are is another question.
        page_size: bytes; 0 if unknown.
        memory: bytes that the kernel has; 0 if unknown.
        swaps: all places that are switched on.
        counts_memory: the memory cgroup is in force, so that limits of containers are; None if unknown.
        cmdline: words that the kernel was started with.
        boot_line: text of the file that the firmware takes words for the next start from; None where there is none.
        reboot_due: Hearth changed that file, and the host was not restarted since.
        throttled: the firmware's bits on power and heat; None where it can't be asked.
        temperature: of the processor, in °C; None where the firmware can't be asked.
    """

    model: str = ""
    kernel: str = ""
    page_size: int = 0
    memory: int = 0
    swaps: tuple[Swap, ...] = ()
    counts_memory: bool | None = None
    cmdline: tuple[str, ...] = ()
    boot_line: str | None = None
    reboot_due: bool = False
    throttled: int | None = None
    temperature: float | None = None

    @property
    def is_pi(self) -> bool:
        return self.model.startswith("Raspberry Pi")


def parse_hardware(sections: Mapping[str, list[str]]) -> Hardware:
    """The board from the sections that `HARDWARE_QUESTIONS` prints."""
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
        counts_memory="memory" in " ".join(sections["controllers"]).split() if "controllers" in sections else None,
        cmdline=tuple(" ".join(sections.get("cmdline", [])).split()),
        boot_line="\n".join(boot_line) if boot_line else None,
        reboot_due=bool(sections.get("reboot_due")),
        throttled=throttled,
        temperature=temperature,
    )


def _swaps(lines: Iterable[str]) -> tuple[Swap, ...]:
    """`/proc/swaps`: a heading, then name, kind, kB, kB used, priority."""
    fields = (line.split() for line in lines)
    return tuple(Swap(one[0], int(one[2]) * _KB) for one in fields if len(one) > 3 and one[2].isdigit())


def _firmware(lines: Iterable[str]) -> tuple[int | None, float | None]:
    """`throttled=0x50005` and `temp=62.3'C`; complaints ("VCHI initialization failed") are no answer."""
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
