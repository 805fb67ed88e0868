"""The memory cgroup, without which memory limits of containers have no effect. Pure rules.

On a Raspberry Pi it is off: the firmware starts the kernel with `cgroup_disable=memory`, and appends the options in
/boot/firmware/cmdline.txt (raspberrypi/linux#6439, #6980; RPi-Distro/pi-gen#917).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hearth.host.hardware import Hardware
from hearth.paths import BOOT_LINE
from hearth.settings.model import Settings

ENABLE_OPTION = "cgroup_enable=memory"
DISABLE_OPTION = "cgroup_disable=memory"

# enabled: limits are enforced, as on most hosts, or the state is unknown.
# not_configured: the boot line lacks the option. pending_reboot: the line has it, but the kernel was started without.
# disabled_by_user: the line has the user's `cgroup_disable=memory`. ignored_by_kernel: the kernel was started with the
# option, and does not support it. unmanaged: this host has no boot line that Hearth may change.
CgroupState = Literal[
    "enabled", "not_configured", "pending_reboot", "disabled_by_user", "ignored_by_kernel", "unmanaged"
]


def memory_cgroup_state(hardware: Hardware) -> CgroupState:
    """The state of the memory cgroup on a host."""
    if hardware.memory_cgroup_enabled is not False:
        return "enabled"
    if ENABLE_OPTION in hardware.cmdline:
        return "ignored_by_kernel"
    if not hardware.is_pi or hardware.boot_line is None:
        return "unmanaged"
    last = _last(hardware.boot_line.split())
    if last == DISABLE_OPTION:
        return "disabled_by_user"
    return "pending_reboot" if last == ENABLE_OPTION else "not_configured"


def _last(words: Sequence[str]) -> str:
    """The later of the two options, which the kernel applies; "" if neither is present."""
    return next((word for word in reversed(words) if word in (ENABLE_OPTION, DISABLE_OPTION)), "")


def limited_services(settings: Settings) -> frozenset[str]:
    """Services of the Compose project that have a memory limit."""
    limits = {"ollama": settings.ollama_memory_limit, "httpd": settings.proxy_memory_limit}
    return frozenset(service for service, limit in limits.items() if limit and service in settings.images)


def will_reboot(hardware: Hardware, allowed: bool) -> bool:
    """Whether a deploy reboots the host: once after its own change, and not again if that had no effect."""
    state = memory_cgroup_state(hardware)
    return allowed and (state == "not_configured" or (state == "pending_reboot" and hardware.reboot_due))


def enforced_limits(settings: Settings, hardware: Hardware, can_reboot: bool) -> frozenset[str] | None:
    """Services whose containers have enforced memory limits after this run; None if unknown."""
    if hardware.memory_cgroup_enabled is None:
        return None
    return (
        limited_services(settings)
        if hardware.memory_cgroup_enabled or will_reboot(hardware, can_reboot)
        else frozenset()
    )


def memory_cgroup_warnings(settings: Settings, hardware: Hardware, can_reboot: bool) -> list[str]:
    """A warning if memory limits have no effect, and will have none after this run.

    Args:
        can_reboot: the settings allow a reboot, and the connection survives it.
    """
    state = memory_cgroup_state(hardware)
    if state == "enabled" or not limited_services(settings) or will_reboot(hardware, can_reboot):
        return []
    limits = [name for name in ("ollama_memory_limit", "proxy_memory_limit") if getattr(settings, name)]
    return [
        f"{' and '.join(limits)} {'have' if len(limits) > 1 else 'has'} no effect: the memory cgroup is off, so "
        "containers can use all of the host's memory. The deploy continues. "
        f"{_fix(state, can_reboot, settings.host_allow_reboot)}"
    ]


def _fix(state: CgroupState, can_reboot: bool, allowed: bool) -> str:
    if state == "ignored_by_kernel":
        return (
            f"The kernel was started with {ENABLE_OPTION} and ignores it: `sudo apt full-upgrade` and a reboot "
            "install a newer kernel (some 6.12 kernels do not support the option)"
        )
    if state == "disabled_by_user":
        return f"{BOOT_LINE} has {DISABLE_OPTION}, which Hearth does not change"
    if state == "unmanaged":
        return (
            f"Remove {DISABLE_OPTION} from the kernel's command line (for a container: of the machine that it runs "
            f"on); some kernels also need {ENABLE_OPTION}"
        )
    if can_reboot:  # and it was rebooted since
        return (
            f"{BOOT_LINE} has {ENABLE_OPTION}, but the kernel was started without it: if the host was rebooted since, "
            "it reads its options from another file"
        )
    has = "has" if state == "pending_reboot" else "will have"
    # If it is allowed but not possible, the deploy runs on the Pi itself.
    alternative = "" if allowed else ", or set host_allow_reboot = True"
    return f"{BOOT_LINE} {has} {ENABLE_OPTION}: reboot the Pi (`sudo reboot`) and deploy again{alternative}"
