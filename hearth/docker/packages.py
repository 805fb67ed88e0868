"""Docker's packages and repositories by platform."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.host.platform import Platform

# The first version that supports `start_interval` in health checks; with an older one, Compose fails.
OLDEST_ENGINE = 25


# Minimum releases with a recent engine and the Compose plugin, version 2, in their own packages.
_DISTRIBUTION_DOCKER = {
    "debian": (13, ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")),
    "ubuntu": (24, ("docker.io", "docker-compose-v2", "iptables", "ca-certificates")),
}


DOCKER_CE = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin")


def is_too_old(engine: str) -> bool:
    """Whether a Docker engine of that version is too old for Hearth; False for an unknown version format."""
    major = engine.partition(".")[0]
    return major.isdigit() and int(major) < OLDEST_ENGINE


@dataclass(frozen=True)
class DockerSource:
    """Packages to install, and their apt repository (`""`: the distribution's own)."""

    packages: tuple[str, ...]
    repository: str


def docker_source(platform: Platform, choice: str, apt_url: str) -> DockerSource:
    """The source of Docker on a platform.

    Args:
        choice: the setting `docker_source`: `auto`, `distribution` or `docker`.
        apt_url: the setting `docker_apt_url`, without a trailing slash.

    Raises:
        ValueError: `distribution` was chosen, but its packages are too old.
    """
    oldest, packages = _DISTRIBUTION_DOCKER[platform.family]
    suffices = platform.version >= oldest
    if choice == "distribution" and not suffices:
        raise ValueError(
            f'docker_source = "distribution": {platform.pretty_name} has no Compose plugin in its packages; '
            'use "docker" or "auto"'
        )
    if suffices and choice != "docker":
        return DockerSource(packages, "")
    return DockerSource(DOCKER_CE, f"{apt_url}/{platform.family}")
