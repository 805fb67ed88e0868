"""What others may know about this checkout's lab."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from lab import guests, models, servers, smollm2, state
from lab.errors import LabError
from lab.hub import HUB
from lab.ssh import HOST

_GUEST_SEES_US_AT = "10.0.2.2"  # QEMU's user networking


@dataclass(frozen=True)
class Status:
    """The lab of this checkout. While nothing was ever started, addresses are empty and `forwards` has nothing."""

    running: bool  # the machine and what runs beside it
    guest: str  # its kind, as in lab.guests
    mode: str  # where images and models come from: "built" here, or "hub", Docker Hub and Ollama's library
    accel: str  # "kvm" or "tcg" (of the last start)
    memory: int  # MiB of the guest
    url: str  # where the chat page will be, on this machine
    ssh_config: str  # absolute path of an ssh configuration file …
    ssh_host: str  # … and the guest's name in it
    registry_mirror: str  # Docker Hub's stand-in, as the guest reaches it; this and the next are "" with "hub"
    model_registry: str  # the model registry, as the guest reaches it
    docker_apt_url: str  # the stand-in for Docker's apt repository, as the guest reaches it; "" where there is none
    forwards: dict[str, int]  # guest port -> port on this machine's loopback
    images: dict[str, str]  # "httpd", "ollama" -> what the mirror has, by the version in it; none with "hub"
    origins: list[str]  # lines on what the lab is made of, where that is not pinned
    snapshots: list[str]
    models: list[str]  # what a deploy to it lists, all of which talk; its registry has them in library/
    pids: dict[str, int]  # of what runs: qemu, registry, models, packages

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def status(must_run: bool = False) -> Status:
    """The lab as it is now; with `must_run`, LabError unless it is running."""
    guest = guests.chosen()
    known = state.load()
    alive = {name: pid for name, pid in known.pids.items() if known.alive(name)}
    beside = servers.names(guest, known.mode)
    running = set(alive) >= {state.QEMU, *beside}
    if must_run and not running:
        which = "" if guest == guests.TRIXIE else f"--guest {guest.name} "
        raise LabError(f"The lab is not running. Start it with: .venv/bin/python -m lab {which}up")
    forwards = {port: known.ports[port] for port in state.GUEST_PORTS if port in known.ports}

    def reached_at(name: str) -> str:
        return f"http://{_GUEST_SEES_US_AT}:{known.ports[name]}" if name in beside and name in known.ports else ""

    return Status(
        running=running,
        guest=guest.name,
        mode=known.mode,
        accel=known.accel,
        memory=known.memory,
        url=f"http://127.0.0.1:{forwards['85']}" if "85" in forwards else "",
        ssh_config=str(state.DIRECTORY / "ssh_config"),
        ssh_host=HOST,
        registry_mirror=reached_at(state.REGISTRY),
        model_registry=reached_at(state.MODELS),
        docker_apt_url=reached_at(state.PACKAGES),
        forwards=forwards,
        images={} if known.mode == HUB else dict(known.images),
        origins=list(known.origins),
        snapshots=list(known.snapshots),
        models=[smollm2.NAME] if known.mode == HUB or known.model == smollm2.REAL else list(models.NAMES),
        pids=alive,
    )
