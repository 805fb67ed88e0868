"""Which operating systems and machines Hearth runs on, and where Docker comes from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ARCHITECTURES = ("amd64", "arm64")
# The first whose health checks know `start_interval`; Compose fails where one with it meets an older engine.
OLDEST_ENGINE = 25
# Releases whose own packages have an engine that is new enough, and the Compose plugin of version 2.
_DISTRIBUTION_DOCKER = {
    "debian": (13, ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")),
    "ubuntu": (24, ("docker.io", "docker-compose-v2", "iptables", "ca-certificates")),
}
_OLDEST = {"debian": 12, "ubuntu": 22}
# Releases that Hearth was deployed to and tested on (README.md says how), and the newest that it was made for.
_TESTED = {"debian": (12, 13)}
_NEWEST = {"debian": 13, "ubuntu": 24}
DOCKER_CE = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin")


@dataclass(frozen=True)
class Platform:
    """An operating system: `family` is `debian` or `ubuntu`, `version` its major number, `codename` its apt name."""

    family: str
    version: int
    codename: str
    architecture: str
    pretty_name: str


def identify(os_release: Mapping[str, str], architecture: str) -> Platform:
    """The platform of a host.

    Args:
        os_release: `/etc/os-release` as names to values.
        architecture: as `dpkg --print-architecture` says it.

    Raises:
        ValueError: the host is none that Hearth supports; says which are.
    """
    name = os_release.get("PRETTY_NAME", "an unknown system")
    supported = (
        "use Debian 12 or 13, which Hearth was tested on, or what should work as well: Raspberry Pi OS (64-bit, "
        "bookworm or trixie), Ubuntu 22.04 or 24.04"
    )
    family = os_release.get("ID", "")
    if family == "raspbian" or architecture == "armhf":
        raise ValueError(f"{name} is a 32-bit system, and Ollama needs 64 bits; install the 64-bit Raspberry Pi OS")
    # Before the architecture, whose name is another one where there is no dpkg to ask.
    if family not in _OLDEST:
        raise ValueError(f"{name} is not supported; {supported}")
    if architecture not in ARCHITECTURES:
        raise ValueError(f"the machine is {architecture or 'of an unknown kind'}; Ollama's image needs amd64 or arm64")
    major = os_release.get("VERSION_ID", "").partition(".")[0]
    if not major.isdigit() or int(major) < _OLDEST[family]:
        raise ValueError(f"{name} is not supported; {supported}")
    return Platform(family, int(major), os_release.get("VERSION_CODENAME", ""), architecture, name)


def untested(platform: Platform) -> list[str]:
    """What a person should know of a system that Hearth was not tested on: a sentence, if it is one."""
    name = platform.pretty_name
    if platform.version > _NEWEST[platform.family]:
        return [
            f"{name} is newer than what Hearth was made for and tested on (Debian 12 and 13). The deploy goes on; what "
            "that release does differently may make it fail"
        ]
    if platform.version not in _TESTED.get(platform.family, ()):
        return [f"{name} should work, but Hearth was not tested on it, only on Debian 12 and 13. The deploy goes on"]
    return []


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
