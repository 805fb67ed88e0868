"""The kinds of guests: which Debian each is, and what it needs beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab.errors import LabError
from lab.hub import BUILT, HUB
from lab.smollm2 import REAL, TINY

VARIABLE = "HEARTH_LAB_GUEST"  # of the environment, so that inventories and tests mean the same guest


@dataclass(frozen=True)
class Guest:
    """One kind.

    Attributes:
        name: what a person chooses it by.
        suite: the Debian release.
        architecture: its processor, as dpkg names it.
        artefact: name of its disk, kernel and initrd in the cache.
        images: name of the container images that it pulls.
        instead: words of recipes/guest.sh, and what this guest has in their place.
        key_in_firmware: its systemd takes our ssh key from the firmware, not from the kernel's arguments.
        patience: seconds that making it may take. Another processor's packages are set up under emulation.
        docker_packages: beside it runs an apt repository that stands in for Docker's own.
    """

    name: str
    suite: str
    artefact: str
    architecture: str = "amd64"
    images: str = "images"
    instead: tuple[tuple[str, str], ...] = ()
    key_in_firmware: bool = False
    docker_packages: bool = False
    patience: int = 900

    def needed(self, mode: str = BUILT, model: str = TINY) -> tuple[str, ...]:
        """The artefacts that a lab with this guest takes.

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
# Its own Docker is too old and has no Compose plugin, so the deploy takes Docker's packages.
BOOKWORM = Guest(
    "bookworm",
    "bookworm",
    "guest-bookworm",
    instead=(("\n  trixie ", "\n  bookworm "),),
    key_in_firmware=True,
    docker_packages=True,
)
# The processor of a Pi, emulated by QEMU whatever this machine is.
ARM64 = Guest(
    "arm64",
    "trixie",
    "guest-arm64",
    architecture="arm64",
    images="images-arm64",
    patience=5400,
    instead=(
        ("--variant=minbase", "--variant=minbase --architectures=arm64"),
        ("linux-image-cloud-amd64", "linux-image-cloud-arm64"),
    ),
)
ALL = {guest.name: guest for guest in (TRIXIE, BOOKWORM, ARM64)}


def chosen() -> Guest:
    """The guest that HEARTH_LAB_GUEST names, trixie without it; LabError when there is none of that name."""
    name = chosen_name()
    if name not in ALL:
        raise LabError(f"{VARIABLE}={name!r}: there is no such guest; there are: {', '.join(ALL)}.")
    return ALL[name]


def chosen_name() -> str:
    """The same without looking whether there is such a guest."""
    return os.environ.get(VARIABLE) or TRIXIE.name
