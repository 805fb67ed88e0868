"""Supported systems, and where Docker is installed from on each."""

from __future__ import annotations

import re

import pytest

from hearth.docker.packages import DOCKER_CE, docker_source
from hearth.host.platform import identify, untested

URL = "https://download.docker.com/linux"
DEBIAN_13 = {"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie", "PRETTY_NAME": "Debian GNU/Linux 13"}
DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian GNU/Linux 12"}
DEBIAN_11 = {"ID": "debian", "VERSION_ID": "11", "VERSION_CODENAME": "bullseye", "PRETTY_NAME": "Debian GNU/Linux 11"}
# The 64-bit Raspberry Pi OS identifies as Debian; the 32-bit one as Raspbian.
RASPBIAN = {
    "ID": "raspbian",
    "VERSION_ID": "12",
    "PRETTY_NAME": "Raspbian GNU/Linux 12 (bookworm)",
    "ID_LIKE": "debian",
}
UBUNTU_24 = {"ID": "ubuntu", "VERSION_ID": "24.04", "VERSION_CODENAME": "noble", "PRETTY_NAME": "Ubuntu 24.04.2 LTS"}
UBUNTU_22 = {"ID": "ubuntu", "VERSION_ID": "22.04", "VERSION_CODENAME": "jammy", "PRETTY_NAME": "Ubuntu 22.04.5 LTS"}
UBUNTU_26 = {"ID": "ubuntu", "VERSION_ID": "26.04", "VERSION_CODENAME": "resolute", "PRETTY_NAME": "Ubuntu 26.04 LTS"}
DEBIAN_14 = {"ID": "debian", "VERSION_ID": "14", "VERSION_CODENAME": "forky", "PRETTY_NAME": "Debian GNU/Linux 14"}
UBUNTU_20 = {"ID": "ubuntu", "VERSION_ID": "20.04", "VERSION_CODENAME": "focal", "PRETTY_NAME": "Ubuntu 20.04.6 LTS"}


@pytest.mark.parametrize(
    ("os_release", "architecture", "repository", "package"),
    [
        (DEBIAN_13, "arm64", "", "docker.io"),
        (DEBIAN_13, "amd64", "", "docker-compose"),
        (DEBIAN_12, "arm64", f"{URL}/debian", "docker-compose-plugin"),
        (UBUNTU_24, "amd64", "", "docker-compose-v2"),
        (UBUNTU_22, "arm64", f"{URL}/ubuntu", "docker-ce"),
        (UBUNTU_26, "amd64", "", "docker-compose-v2"),
        (DEBIAN_14, "arm64", "", "docker.io"),
    ],
)
def test_supported(os_release: dict[str, str], architecture: str, repository: str, package: str) -> None:
    platform = identify(os_release, architecture)
    assert platform.codename == os_release["VERSION_CODENAME"]
    source = docker_source(platform, "auto", URL)
    assert source.repository == repository
    assert package in source.packages


@pytest.mark.parametrize(
    ("os_release", "architecture", "reason"),
    [
        (DEBIAN_11, "arm64", "Debian GNU/Linux 11 is not supported; use Debian 12 or 13, which"),
        (UBUNTU_20, "amd64", "Ubuntu 20.04.6 LTS is not supported"),
        (RASPBIAN, "armhf", "32-bit system, but Ollama needs 64 bits; install the 64-bit Raspberry Pi OS"),
        (RASPBIAN, "arm64", "32-bit"),
        (DEBIAN_12, "armhf", "32-bit"),
        (DEBIAN_13, "riscv64", "the processor is riscv64; Ollama's image needs amd64 or arm64"),
        (DEBIAN_13, "", "the processor is unknown"),
        # Without dpkg, only the kernel's name of the architecture is known.
        ({"ID": "fedora", "PRETTY_NAME": "Fedora Linux 42"}, "x86_64", "^Fedora Linux 42 is not supported"),
        ({"ID": "fedora", "VERSION_ID": "42", "PRETTY_NAME": "Fedora Linux 42"}, "amd64", "Fedora Linux 42"),
        ({"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux forky/sid"}, "amd64", "forky/sid is not supported"),
        ({}, "amd64", "an unknown system is not supported"),
    ],
)
def test_unsupported_systems(os_release: dict[str, str], architecture: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        identify(os_release, architecture)


@pytest.mark.parametrize(
    ("os_release", "sentence"),
    [
        (DEBIAN_12, ""),
        (DEBIAN_13, ""),
        (UBUNTU_22, "^Ubuntu 22.04.5 LTS should work, but Hearth is only tested on Debian 12 and 13"),
        (UBUNTU_24, "^Ubuntu 24.04.2 LTS should work, but"),
        (UBUNTU_26, "^Ubuntu 26.04 LTS is newer than the releases that Hearth is tested on .Debian 12 and 13."),
        (DEBIAN_14, "^Debian GNU/Linux 14 is newer than"),
    ],
)
def test_untested_systems_get_a_warning(os_release: dict[str, str], sentence: str) -> None:
    said = untested(identify(os_release, "arm64"))
    assert len(said) == bool(sentence)
    assert all(re.search(sentence, one) for one in said)


def test_dockers_own_repository_can_be_chosen_anywhere() -> None:
    source = docker_source(identify(DEBIAN_13, "amd64"), "docker", "http://mirror.example/docker")
    assert source.packages == DOCKER_CE
    assert source.repository == "http://mirror.example/docker/debian"


def test_the_distributions_packages_are_rejected_where_they_are_too_old() -> None:
    with pytest.raises(ValueError, match='use "docker" or "auto"'):
        docker_source(identify(DEBIAN_12, "amd64"), "distribution", URL)


def test_the_distributions_packages_are_used_if_chosen() -> None:
    assert docker_source(identify(DEBIAN_13, "amd64"), "distribution", URL).repository == ""
