"""keepalived's files, and how a host differs from them. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hearth.paths import (
    KEEPALIVED_RECORD,
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.render.templates import FILES, render
from hearth.runtime.written_files import describe_differing
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address.place import InterfaceAddress

PACKAGE = "keepalived"
# Prints traces of the virtual address on a host, a line each.
VIRTUAL_ADDRESS_TRACES = f"ls {VIRTUAL_ADDRESS_UNIT} {VIRTUAL_ADDRESS_CONF} {KEEPALIVED_RECORD} 2>/dev/null"


@dataclass(frozen=True)
class VirtualAddressState:
    """keepalived on a host.

    Attributes:
        installed: the package is completely installed.
        active, enabled: of Hearth's service, from systemd.
        files: path → SHA-256 (hex) of the existing ones.
        loaded: SHA-256 of the configuration that runs; "" if none does.
        peers: addresses of the hosts that share it, according to the file.
        addresses: of the host.
    """

    installed: bool = False
    active: bool = False
    enabled: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    loaded: str = ""
    peers: tuple[str, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()

    @property
    def exists(self) -> bool:
        """Hearth's service exists, so that a virtual address on the host is probably from it."""
        return VIRTUAL_ADDRESS_UNIT in self.files


def render_files(router: VirtualRouter, place: InterfaceAddress) -> dict[str, str]:
    """The files: absolute path → content.

    Args:
        place: where the host has its own address. The virtual one is added there, in the same network.
    """
    conf = render(
        "virtual-address/keepalived.conf.j2",
        router=router,
        interface=place.interface,
        prefix_length=place.address.network.prefixlen,
        check=VIRTUAL_ADDRESS_CHECK,
    )
    check = (FILES / "virtual-address/responds.bash").read_text(encoding="utf-8")
    unit = (FILES / VIRTUAL_ADDRESS_SERVICE).read_text(encoding="utf-8")
    return {VIRTUAL_ADDRESS_CHECK: check, VIRTUAL_ADDRESS_CONF: conf, VIRTUAL_ADDRESS_UNIT: unit}


def find_differences(state: VirtualAddressState, files: Mapping[str, str]) -> list[str]:
    """Differences from the settings, and how they are fixed, a sentence each; empty if there are none.

    Args:
        files: path → the text that the file should have.
    """
    found = []
    if not state.installed:
        found.append(f"{PACKAGE} is missing, which holds the virtual address; installing it from the distribution")
    if not any(path in state.files for path in files):
        found.append("this host does not share the virtual address yet; adding it")
        return found
    found += [f"{difference}; writing it" for difference in describe_differing(state.files, files)]
    if not found and not state.active:
        found.append("the virtual address's service is not running, so this host would not take it over; starting it")
    elif not found and state.loaded != state.files[VIRTUAL_ADDRESS_CONF]:
        found.append("the virtual address's service has not loaded its configuration; reloading it")
    if not found and not state.enabled:
        found.append("the virtual address's service does not start with the host; enabling it")
    return found
