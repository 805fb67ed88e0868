"""The state of a checkout's lab, in `<checkout>/.lab/state.json`; of other guests in `.lab-<guest>/`."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import guests, process
from lab.hub import BUILT
from lab.smollm2 import TINY

CHECKOUT = Path(__file__).resolve().parents[1]


def directory_of(guest: str) -> Path:
    """The state directory of the lab with that guest."""
    return CHECKOUT / (".lab" if guest == guests.TRIXIE.name else f".lab-{guest}")


DIRECTORY = directory_of(guests.chosen_name())

GUEST_PORTS = ("22", "80", "85", "443", "5001", "11434")
REGISTRY, MODELS = "registry", "models"  # our two registries, as keys of ports and pids
PACKAGES = "packages"  # the apt repository that some guests use
QEMU = "qemu"


@dataclass
class State:
    """Mutable; saved after every step, so it is correct even after an interrupted command."""

    ports: dict[str, int] = field(default_factory=dict)  # of guest ports and of the servers
    pids: dict[str, int] = field(default_factory=dict)  # of the machine and of the servers
    guest: str = ""  # the cached artefact that the overlay is based on
    images: dict[str, str] = field(default_factory=dict)  # "httpd", "ollama" -> the image in the registry
    mode: str = BUILT  # origin of images and models, one of lab.hub.MODES
    model: str = TINY  # models to deploy, one of lab.smollm2.KINDS
    storages: dict[str, str] = field(default_factory=dict)  # the directory that each server serves
    origins: list[str] = field(default_factory=list)  # what the lab was built from, if that is not pinned
    memory: int = 0  # MiB of the running machine
    accel: str = ""  # kvm or tcg
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> settings when it was taken

    def alive(self, name: str) -> bool:
        """Whether that process of this checkout runs."""
        pid = self.pids.get(name)
        return pid is not None and process.is_ours(pid, str(DIRECTORY))

    def save(self) -> None:
        """Write it atomically: readers never get half a file."""
        DIRECTORY.mkdir(exist_ok=True)
        fresh = DIRECTORY / "state.json.new"
        fresh.write_text(json.dumps(asdict(self), indent=1) + "\n")
        fresh.rename(DIRECTORY / "state.json")


def choose(guest: str) -> None:
    """Make this process and its children use the lab with another guest."""
    global DIRECTORY
    os.environ[guests.VARIABLE] = guest
    DIRECTORY = directory_of(guest)


def load() -> State:
    """The saved state; an empty one if there is none."""
    path = DIRECTORY / "state.json"
    return State(**json.loads(path.read_text())) if path.exists() else State()


@contextmanager
def locked() -> Iterator[State]:
    """The state, locked against other lab commands of this checkout."""
    DIRECTORY.mkdir(exist_ok=True)
    with (DIRECTORY / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield load()
