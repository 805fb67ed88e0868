"""The kernel's counting of memory for containers (the memory cgroup), without which their memory limits do nothing.

On a Raspberry Pi it is off: the firmware starts the kernel with `cgroup_disable=memory`, and what is in
/boot/firmware/cmdline.txt comes after that (raspberrypi/linux#6439, #6980; RPi-Distro/pi-gen#917). Pure rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hearth.host.hardware import Hardware
from hearth.paths import BOOT_LINE
from hearth.settings.model import Settings

ENABLE_OPTION = "cgroup_enable=memory"
DISABLE_OPTION = "cgroup_disable=memory"

# in force: or nothing is known; limits are obeyed, as on most hosts.
# no word: the boot line can have it; waits: the line has it, and the kernel was started without; by hand: a person's
# `cgroup_disable=memory` stands in the line; not obeyed: the kernel was given the word, and does not count;
# elsewhere: this host takes its words from somewhere that is not ours to change.
CgroupState = Literal["in force", "no word", "waits", "by hand", "not obeyed", "elsewhere"]


def judge(hardware: Hardware) -> CgroupState:
    """What is to be said and done about it on a host."""
    if hardware.counts_memory is not False:
        return "in force"
    if ENABLE_OPTION in hardware.cmdline:
        return "not obeyed"
    if not hardware.is_pi or hardware.boot_line is None:
        return "elsewhere"
    last = _last(hardware.boot_line.split())
    return "waits" if last == ENABLE_OPTION else "by hand" if last == DISABLE_OPTION else "no word"


def _last(words: Sequence[str]) -> str:
    """The one of the two words that the kernel obeys, the later one; "" where neither is there."""
    return next((word for word in reversed(words) if word in (ENABLE_OPTION, DISABLE_OPTION)), "")


def limited_services(settings: Settings) -> frozenset[str]:
    """Services of the Compose project that have a memory limit."""
    limits = {"ollama": settings.ollama_memory_limit, "httpd": settings.proxy_memory_limit}
    return frozenset(service for service, limit in limits.items() if limit)


def will_reboot(hardware: Hardware, allowed: bool) -> bool:
    """Whether a deploy restarts the host: once after its own change, never for one that a restart did not help."""
    counting = judge(hardware)
    return allowed and (counting == "no word" or (counting == "waits" and hardware.reboot_due))


def limits_in_force(settings: Settings, hardware: Hardware, can_reboot: bool) -> frozenset[str] | None:
    """Services whose containers have memory limits once this run is through; None where that is not known."""
    if hardware.counts_memory is None:
        return None
    return limited_services(settings) if hardware.counts_memory or will_reboot(hardware, can_reboot) else frozenset()


def memory_cgroup_warnings(settings: Settings, hardware: Hardware, can_reboot: bool) -> list[str]:
    """What a person has to know where limits do nothing, and will not after this run either.

    Args:
        can_reboot: the settings allow to restart the host, and the connection comes back after it.
    """
    counting = judge(hardware)
    if counting == "in force" or not limited_services(settings) or will_reboot(hardware, can_reboot):
        return []
    limits = [name for name in ("ollama_memory_limit", "proxy_memory_limit") if getattr(settings, name)]
    return [
        f"{' and '.join(limits)} {'have' if len(limits) > 1 else 'has'} no effect: the kernel does not count memory "
        "for containers, so one that takes too much takes it from the whole host. The deploy goes on. "
        f"{_what_helps(counting, can_reboot, settings.host_allow_reboot)}"
    ]


def _what_helps(counting: CgroupState, can_reboot: bool, allowed: bool) -> str:
    if counting == "not obeyed":
        return (
            f"The kernel was started with {ENABLE_OPTION} and does not do it: `sudo apt full-upgrade` and a restart "
            "get a newer kernel (some of 6.12 did not know the word)"
        )
    if counting == "by hand":
        return f"{BOOT_LINE} says {DISABLE_OPTION}, which is left as it is"
    if counting == "elsewhere":
        return (
            f"The kernel's command line must not say {DISABLE_OPTION} (of a container: that of the machine it runs "
            f"on); some kernels want {ENABLE_OPTION}"
        )
    if can_reboot:  # and it was restarted since
        return (
            f"{BOOT_LINE} says {ENABLE_OPTION}, and the kernel was started without: if the host was restarted since, "
            "it takes its words from another file"
        )
    words = "says" if counting == "waits" else "will say"
    # Where it is allowed and can't be done, the deploy runs on the Pi itself.
    alternative = "" if allowed else ", or set host_allow_reboot = True"
    return f"{BOOT_LINE} {words} {ENABLE_OPTION}: restart the Pi (`sudo reboot`) and deploy again{alternative}"
