"""Where Docker comes from: packages and repositories by platform."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.host.platform import Platform

# The first whose health checks know `start_interval`; Compose fails where one with it meets an older engine.
OLDEST_ENGINE = 25


# Releases whose own packages have an engine that is new enough, and the Compose plugin of version 2.
_DISTRIBUTION_DOCKER = {
    "debian": (13, ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")),
    "ubuntu": (24, ("docker.io", "docker-compose-v2", "iptables", "ca-certificates")),
}


DOCKER_CE = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin")


def is_too_old(engine: str) -> bool:
    """Whether a Docker engine of that version can't have Hearth's containers; one that can't be read may be right."""
    major = engine.partition(".")[0]
    return major.isdigit() and int(major) < OLDEST_ENGINE


@dataclass(frozen=True)
class DockerSource:
    """Packages to install, and the apt repository they come from (`""`: the distribution's own)."""

    packages: tuple[str, ...]
    repository: str


def docker_source(platform: Platform, choice: str, apt_url: str) -> DockerSource:
    """Where Docker comes from on a platform.

    Args:
        choice: the setting `docker_source`: `auto`, `distribution` or `docker`.
        apt_url: the setting `docker_apt_url`, without a slash at its end.

    Raises:
        ValueError: the distribution was asked for, but its packages are too old.
    """
    oldest, packages = _DISTRIBUTION_DOCKER[platform.family]
    suffices = platform.version >= oldest
    if choice == "distribution" and not suffices:
        raise ValueError(
            f'docker_source = "distribution": {platform.pretty_name} has no Compose plugin of its own; '
            '"docker" or "auto" would be right'
        )
    if suffices and choice != "docker":
        return DockerSource(packages, "")
    return DockerSource(DOCKER_CE, f"{apt_url}/{platform.family}")
