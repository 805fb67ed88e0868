"""The kinds of guests: which Debian each is, and what it needs beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab.errors import LabError

VARIABLE = "HEARTH_LAB_GUEST"  # of the environment, so that inventories and tests mean the same guest


@dataclass(frozen=True)
class Guest:
    """One kind.

    Attributes:
        name: what a person chooses it by.
        suite: the Debian release.
        artefact: name of its disk, kernel and initrd in the cache.
        instead: words of recipes/guest.sh, and what this guest has in their place.
        key_in_firmware: its systemd takes our ssh key from the firmware, not from the kernel's arguments.
        docker_packages: beside it runs an apt repository that stands in for Docker's own.
    """

    name: str
    suite: str
    artefact: str
    instead: tuple[tuple[str, str], ...] = ()
    key_in_firmware: bool = False
    docker_packages: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """The artefacts that a lab with this guest takes."""
        packages = ("docker-repository",) if self.docker_packages else ()
        return ("tools", self.artefact, *packages, "images", "models")


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
ALL = {guest.name: guest for guest in (TRIXIE, BOOKWORM)}


def chosen() -> Guest:
    """The guest that HEARTH_LAB_GUEST names, trixie without it; LabError when there is none of that name."""
    name = chosen_name()
    if name not in ALL:
        raise LabError(f"{VARIABLE}={name!r}: there is no such guest; there are: {', '.join(ALL)}.")
    return ALL[name]


def chosen_name() -> str:
    """The same without looking whether there is such a guest."""
    return os.environ.get(VARIABLE) or TRIXIE.name
