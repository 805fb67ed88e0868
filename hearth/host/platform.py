"""Which operating systems and machines Hearth runs on, and where Docker comes from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ARCHITECTURES = ("amd64", "arm64")
_OLDEST = {"debian": 12, "ubuntu": 22}
# Releases that Hearth was deployed to and tested on (README.md says how), and the newest that it was made for.
_TESTED = {"debian": (12, 13)}
_NEWEST = {"debian": 13, "ubuntu": 24}


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
