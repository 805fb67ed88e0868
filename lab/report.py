"""What others may know about this checkout's lab."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from lab import models, state
from lab.errors import LabError
from lab.ssh import HOST

_GUEST_SEES_US_AT = "10.0.2.2"  # QEMU's user networking


@dataclass(frozen=True)
class Status:
    """The lab of this checkout. While nothing was ever started, addresses are empty and `forwards` has nothing."""

    running: bool  # the machine and both registries
    accel: str  # "kvm" or "tcg" (of the last start)
    memory: int  # MiB of the guest
    url: str  # where the chat page will be, on this machine
    ssh_config: str  # absolute path of an ssh configuration file …
    ssh_host: str  # … and the guest's name in it
    registry_mirror: str  # Docker Hub's stand-in, as the guest reaches it
    model_registry: str  # the model registry, as the guest reaches it
    forwards: dict[str, int]  # guest port -> port on this machine's loopback
    snapshots: list[str]
    models: list[str]  # what the model registry holds, in library/
    pids: dict[str, int]  # of what runs: qemu, registry, models

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def status(must_run: bool = False) -> Status:
    """The lab as it is now; with `must_run`, LabError unless it is running."""
    known = state.load()
    alive = {name: pid for name, pid in known.pids.items() if known.alive(name)}
    running = set(alive) >= {state.QEMU, state.REGISTRY, state.MODELS}
    if must_run and not running:
        raise LabError("The lab is not running. Start it with: make lab-up")
    forwards = {port: known.ports[port] for port in state.GUEST_PORTS if port in known.ports}

    def reached_at(name: str) -> str:
        return f"http://{_GUEST_SEES_US_AT}:{known.ports[name]}" if name in known.ports else ""

    return Status(
        running=running,
        accel=known.accel,
        memory=known.memory,
        url=f"http://127.0.0.1:{forwards['85']}" if "85" in forwards else "",
        ssh_config=str(state.DIRECTORY / "ssh_config"),
        ssh_host=HOST,
        registry_mirror=reached_at(state.REGISTRY),
        model_registry=reached_at(state.MODELS),
        forwards=forwards,
        snapshots=list(known.snapshots),
        models=list(models.NAMES),
        pids=alive,
    )
