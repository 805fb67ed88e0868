"""The kinds of guests: the Debian release of each, and what else it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab.errors import LabError
from lab.hub import BUILT, HUB
from lab.smollm2 import REAL, TINY

VARIABLE = "HEARTH_LAB_GUEST"  # in the environment: inventories and tests use the same guest


@dataclass(frozen=True)
class Guest:
    """One kind.

    Attributes:
        name: as chosen with --guest.
        suite: the Debian release.
        architecture: dpkg's name of its processor.
        artefact: name of its disk, kernel and initrd in the cache.
        images: name of the container images that it pulls.
        substitutions: in recipes/guest.sh, (old, new) each.
        key_in_firmware: its systemd reads our ssh key from the firmware, not from the kernel's arguments.
        build_timeout: in seconds. Another processor's packages are set up under emulation.
        docker_packages: it uses the lab's replica of Docker's apt repository.
    """

    name: str
    suite: str
    artefact: str
    architecture: str = "amd64"
    images: str = "images"
    substitutions: tuple[tuple[str, str], ...] = ()
    key_in_firmware: bool = False
    docker_packages: bool = False
    build_timeout: int = 900

    def needed(self, mode: str = BUILT, model: str = TINY) -> tuple[str, ...]:
        """The artefacts that a lab with this guest needs.

        Args:
            mode: one of lab.hub.MODES.
            model: one of lab.smollm2.KINDS.
        """
        if mode == HUB:
            return (self.artefact,)
        packages = ("docker-repository",) if self.docker_packages else ()
        real = ("smollm2",) if model == REAL else ()
        return ("tools", self.artefact, *packages, self.images, "models", *real)


TRIXIE = Guest("trixie", "trixie", "guest")
# Debian 12's Docker is too old and has no Compose plugin, so the deploy installs Docker's packages.
BOOKWORM = Guest(
    "bookworm",
    "bookworm",
    "guest-bookworm",
    substitutions=(("\n  trixie ", "\n  bookworm "),),
    key_in_firmware=True,
    docker_packages=True,
)
# The processor of a Pi, always emulated by QEMU.
ARM64 = Guest(
    "arm64",
    "trixie",
    "guest-arm64",
    architecture="arm64",
    images="images-arm64",
    build_timeout=5400,
    substitutions=(
        ("--variant=minbase", "--variant=minbase --architectures=arm64"),
        ("linux-image-cloud-amd64", "linux-image-cloud-arm64"),
    ),
)
ALL = {guest.name: guest for guest in (TRIXIE, BOOKWORM, ARM64)}


def chosen() -> Guest:
    """The guest named by HEARTH_LAB_GUEST, else trixie; LabError for an unknown name."""
    name = chosen_name()
    if name not in ALL:
        raise LabError(f"{VARIABLE}={name!r}: unknown guest; use one of {', '.join(ALL)}.")
    return ALL[name]


def chosen_name() -> str:
    """The same, without checking the name."""
    return os.environ.get(VARIABLE) or TRIXIE.name
