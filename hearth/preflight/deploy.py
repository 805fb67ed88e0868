"""Look before anything is changed: settings of all hosts, then each host itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pyinfra import host, logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host

from hearth.boot.deploy import can_reboot
from hearth.boot.memory_cgroup import about_counting
from hearth.docker.packages import DockerSource, docker_source
from hearth.host.login import Login
from hearth.host.platform import identify
from hearth.preflight.checks import find_notes, find_obstacles, find_warnings, paths_to_check, wrong_clock
from hearth.preflight.facts import Checkup, CheckupState
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings


def check_settings(hosts: Iterable[Host]) -> dict[str, Settings]:
    """Settings of every host, by its name. All are checked before one host is asked anything.

    Raises:
        DeployError: one line for each setting of any host that is wrong.
    """
    settings: dict[str, Settings] = {}
    wrong: list[str] = []
    for one in hosts:
        try:
            settings[one.name] = load_settings(_data(one), one.name)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise DeployError(
            "these settings can't be used, and nothing was changed:\n  " + "\n  ".join("\n".join(wrong).split("\n"))
        )
    return settings


def _data(one: Host) -> dict[str, Any]:
    data: dict[str, Any] = one.data.dict()  # type: ignore[no-untyped-call]
    return data


def become() -> dict[str, Any]:
    """pyinfra arguments with which commands on the host run as root.

    Raises:
        DeployError: the user is not root and there is no sudo.
    """
    login = host.get_fact(Login)
    if login.user_id == 0:
        return {}
    if not login.has_sudo:
        raise DeployError(
            f"{host.name}: the user that logs in is not root and the host has no sudo, so nothing was changed; log in "
            'as root ("ssh_user": "root" in the inventory) or install sudo'
        )
    return {"_sudo": True}


def preflight(settings: Settings, root: dict[str, Any]) -> tuple[DockerSource, str, CheckupState]:
    """Ask the host once, and refuse to begin if something stands in the way.

    Facts run while pyinfra prepares, so this comes before any operation on any host.

    Args:
        root: pyinfra arguments with which commands run as root.

    Returns:
        where Docker comes from on this host, its release's codename, and what was seen of the host.

    Raises:
        DeployError: with every obstacle and its cure.
    """
    state = host.get_fact(Checkup, paths=paths_to_check(settings), models_dir=settings.ollama_models_dir, **root)
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
    for line in [*find_warnings(settings, state), *about_counting(settings, state.board, can_reboot(settings))]:
        logger.warning(f"{host.print_prefix}{line}")
    platform = identify(state.os_release, state.architecture)
    return docker_source(platform, settings.docker_source, settings.docker_apt_url), platform.codename, state
