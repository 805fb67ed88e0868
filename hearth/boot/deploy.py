"""Kernel options that containers need, and the reboot that applies them."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from hearth.boot import operations
from hearth.boot.memory_cgroup import limited_services, memory_cgroup_state, will_reboot
from hearth.host.hardware import Hardware
from hearth.settings.model import Settings


def can_reboot(settings: Settings) -> bool:
    """Whether the settings allow a reboot, and the run survives it: not if it runs on the host itself."""
    return settings.host_allow_reboot and getattr(host.connector, "client", None) is not None


@deploy("Boot")
def boot(settings: Settings, hardware: Hardware) -> None:
    """Runs before the other deploys, so that new containers get their limits.

    Args:
        hardware: from preflight. Nothing else in a deploy changes it.
    """
    if not limited_services(settings):
        return
    if memory_cgroup_state(hardware) == "not_configured":
        operations.enable_memory_cgroup(name="Enable the memory cgroup")
    if will_reboot(hardware, can_reboot(settings)):
        operations.reboot_host(name="Reboot the host")
