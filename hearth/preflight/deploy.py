"""Run the preflight checks on a host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyinfra import host, logger
from pyinfra import state as run
from pyinfra.api import DeployError

from hearth.boot.deploy import can_reboot
from hearth.boot.memory_cgroup import memory_cgroup_warnings
from hearth.host.platform import Platform, identify
from hearth.outbound.probe import probe_proxy, proxy_obstacles, proxy_target
from hearth.preflight.backends import BackendModels, backend_obstacles, backend_warnings, external_backends
from hearth.preflight.checks import (
    clock_obstacles,
    find_notes,
    find_obstacles,
    find_upkeep_warnings,
    find_warnings,
    paths_to_check,
)
from hearth.preflight.facts import HostFacts, HostFactsState
from hearth.preflight.providers import ProviderReachability, provider_addresses, provider_warnings
from hearth.runtime.explain import explain
from hearth.runtime.ssh_address import network_address
from hearth.settings.house import known_address
from hearth.settings.http_proxy import HttpProxy
from hearth.settings.model import Settings
from hearth.settings.virtual_address import virtual_router
from hearth.virtual_address.facts import VirtualAddress
from hearth.virtual_address.place import find_absent
from hearth.virtual_address.place import find_obstacles as virtual_address_obstacles


def preflight(
    settings: Settings, root: Mapping[str, Any], house: Mapping[str, Settings], proxy: HttpProxy | None = None
) -> tuple[Platform, HostFactsState]:
    """Collect the host facts in one round trip, and stop on preflight failures.

    pyinfra collects facts while it prepares, so this runs before any operation on any host.

    Args:
        root: pyinfra arguments with which commands run as root.
        house: the settings of every host of the inventory, by name.
        proxy: that of `host_http_proxy`.

    Returns:
        the host's operating system, and its facts.

    Raises:
        DeployError: with every failure and its fix.
    """
    state = host.get_fact(
        HostFacts,
        paths=paths_to_check(settings),
        models_dir=settings.ollama_models_dir,
        gpu=settings.ollama_gpu != "off",
        **root,
    )
    if not state.clock:
        # The script failed; pyinfra has printed the host's output, and continues if there are other hosts.
        raise DeployError(
            f"could not inspect {host.name}, nothing was changed; its output is above. "
            f"`ssh {host.name}`, and `sudo -v` there, show whether commands run as root"
        )
    in_container = bool(state.container_host.kind)
    obstacles = [*clock_obstacles(state.clock, time.time(), in_container), *find_obstacles(settings, state)]
    external = external_backends(settings, house)
    backends = host.get_fact(BackendModels, urls=external) if external else {}
    obstacles += backend_obstacles(settings, house, backends)
    absent: list[str] = []
    if router := virtual_router(host.name, house):
        shared = host.get_fact(VirtualAddress, **root)
        obstacles += virtual_address_obstacles(router, shared.addresses, shared.exists)
        absent = find_absent(router, shared.peers, _reached_addresses(house))
    if proxy:
        obstacles += proxy_obstacles(proxy, probe_proxy(proxy, proxy_target(settings), dict(root)))
    addresses = tuple(dict.fromkeys(provider_addresses(settings).values()))
    providers = host.get_fact(ProviderReachability, addresses=addresses) if addresses else {}
    if obstacles:
        raise DeployError(f"{host.name} is not ready, and nothing was changed:\n  " + "\n  ".join(obstacles))
    for note in find_notes(settings, state):
        logger.info(f"{host.print_prefix}found: {note}")
    for line in [
        *find_warnings(settings, state),
        *backend_warnings(backends),
        *provider_warnings(settings, providers),
        *absent,
        *memory_cgroup_warnings(settings, state.hardware, can_reboot(settings)),
    ]:
        logger.warning(f"{host.print_prefix}{line}")
    explain(*find_upkeep_warnings(settings, state, datetime.now(UTC).date()), kind="warning")
    return identify(state.os_release, state.architecture), state


def _reached_addresses(house: Mapping[str, Settings]) -> set[str]:
    """The addresses of the hosts that this run is connected to, and changes."""
    return {
        known_address(network_address(one.name, one.data.dict()), house[one.name])  # type: ignore[no-untyped-call]
        for one in tuple(run.active_hosts)
        if run.is_host_in_limit(one)
    }
