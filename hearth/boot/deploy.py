"""How the host is started, where containers need it otherwise than it is."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from hearth.boot import operations
from hearth.boot.memory_cgroup import judge, limited_services, will_reboot
from hearth.host.hardware import Hardware
from hearth.settings.model import Settings


def can_reboot(settings: Settings) -> bool:
    """Whether the settings allow to restart this host, and the run outlives that: on the host itself it would not."""
    return settings.host_allow_reboot and getattr(host.connector, "client", None) is not None


@deploy("Boot")
def boot(settings: Settings, hardware: Hardware) -> None:
    """First of all: containers that are made after it have their limits.

    Args:
        hardware: as preflight saw it. Nothing else of a deploy changes it.
    """
    if not limited_services(settings):
        return
    if judge(hardware) == "no word":
        operations.enable_memory_cgroup(name="Have the kernel count memory for containers")
    if will_reboot(hardware, can_reboot(settings)):
        operations.reboot_host(name="Restart the host")
