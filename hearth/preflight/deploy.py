"""Inspect a host before anything on it is changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pyinfra import host, logger
from pyinfra.api import DeployError

from hearth.boot.deploy import can_reboot
from hearth.boot.memory_cgroup import memory_cgroup_warnings
from hearth.host.platform import Platform, identify
from hearth.preflight.checks import find_notes, find_obstacles, find_warnings, paths_to_check, wrong_clock
from hearth.preflight.facts import HostFacts, HostFactsState
from hearth.settings.model import Settings


def preflight(settings: Settings, root: Mapping[str, Any]) -> tuple[Platform, HostFactsState]:
    """Ask the host once, and refuse to begin if something stands in the way.

    Facts run while pyinfra prepares, so this comes before any operation on any host.

    Args:
        root: pyinfra arguments with which commands run as root.

    Returns:
        the host's operating system, and what was seen of the host.

    Raises:
        DeployError: with every obstacle and its cure.
    """
    state = host.get_fact(HostFacts, paths=paths_to_check(settings), models_dir=settings.ollama_models_dir, **root)
    if not state.clock:
        # The script did not run; pyinfra has printed what the host said, and goes on where there are other hosts.
        raise DeployError(
            f"{host.name} could not be looked at, and nothing was changed; what it said stands above. "
            f"`ssh {host.name}`, and `sudo -v` there, show whether commands run as root"
        )
    confined = bool(state.confinement.kind)
    obstacles = [*wrong_clock(state.clock, time.time(), confined), *find_obstacles(settings, state)]
    if obstacles:
        raise DeployError(f"{host.name} is not ready, and nothing was changed:\n  " + "\n  ".join(obstacles))
    for note in find_notes(settings, state):
        logger.info(f"{host.print_prefix}found: {note}")
    for line in [
        *find_warnings(settings, state),
        *memory_cgroup_warnings(settings, state.hardware, can_reboot(settings)),
    ]:
        logger.warning(f"{host.print_prefix}{line}")
    return identify(state.os_release, state.architecture), state
