"""Operating systems and processors that Hearth supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ARCHITECTURES = ("amd64", "arm64")
_OLDEST = {"debian": 12, "ubuntu": 22}
# Releases that Hearth is tested on (docs/tested-platforms.md), and the newest that it supports.
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
        architecture: from `dpkg --print-architecture`.

    Raises:
        ValueError: the host is not supported; with the systems that are.
    """
    name = os_release.get("PRETTY_NAME", "an unknown system")
    supported = (
        "use Debian 12 or 13, which Hearth is tested on; Raspberry Pi OS (64-bit, bookworm or trixie) and Ubuntu 22.04 "
        "or 24.04 should work, too"
    )
    family = os_release.get("ID", "")
    if family == "raspbian" or architecture == "armhf":
        raise ValueError(f"{name} is a 32-bit system, but Ollama needs 64 bits; install the 64-bit Raspberry Pi OS")
    # Before the architecture, whose name differs without dpkg.
    if family not in _OLDEST:
        raise ValueError(f"{name} is not supported; {supported}")
    if architecture not in ARCHITECTURES:
        raise ValueError(f"the processor is {architecture or 'unknown'}; Ollama's image needs amd64 or arm64")
    major = os_release.get("VERSION_ID", "").partition(".")[0]
    if not major.isdigit() or int(major) < _OLDEST[family]:
        raise ValueError(f"{name} is not supported; {supported}")
    return Platform(family, int(major), os_release.get("VERSION_CODENAME", ""), architecture, name)


def untested(platform: Platform) -> list[str]:
    """A warning, if Hearth is not tested on this system."""
    name = platform.pretty_name
    if platform.version > _NEWEST[platform.family]:
        return [
            f"{name} is newer than the releases that Hearth is tested on (Debian 12 and 13). The deploy continues, but "
            "may fail"
        ]
    if platform.version not in _TESTED.get(platform.family, ()):
        return [f"{name} should work, but Hearth is only tested on Debian 12 and 13. The deploy continues"]
    return []
