"""The status of this checkout's lab, for scripts, inventories and tests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from lab import guests, models, servers, smollm2, state
from lab.errors import LabError
from lab.hub import HUB
from lab.ssh import HOST

_HOST_ADDRESS = "10.0.2.2"  # this machine in QEMU's user networking


@dataclass(frozen=True)
class Status:
    """The lab of this checkout. Before the first start, addresses and `forwards` are empty."""

    running: bool  # the machine and its servers
    guest: str  # kind, as in lab.guests
    mode: str  # origin of images and models: "built" here, or "hub" (Docker Hub and Ollama's library)
    accel: str  # "kvm" or "tcg" (of the last start)
    memory: int  # MiB of the guest
    url: str  # the chat page's address on this machine, after a deploy
    ssh_config: str  # absolute path of an ssh configuration file …
    ssh_host: str  # … and the guest's name in it
    registry_mirror: str  # the image registry's address in the guest; this and the next are "" with "hub"
    model_registry: str  # the model registry's address in the guest
    docker_apt_url: str  # the replica of Docker's apt repository, address in the guest; "" if there is none
    forwards: dict[str, int]  # guest port -> port on this machine's loopback
    images: dict[
        str, str
    ]  # "httpd", "ollama" -> image in the lab's registry, tagged with its version; empty with "hub"
    origins: list[str]  # what the lab was built from, if that is not pinned
    snapshots: list[str]
    models: list[str]  # chat models that a deploy installs; in library/ of its registry
    pids: dict[str, int]  # of the running processes: qemu, registry, models, packages

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def status(must_run: bool = False) -> Status:
    """The lab's current status; with `must_run`, LabError unless it is running."""
    guest = guests.chosen()
    known = state.load()
    alive = {name: pid for name, pid in known.pids.items() if known.alive(name)}
    server_names = servers.names(guest, known.mode)
    running = set(alive) >= {state.QEMU, *server_names}
    if must_run and not running:
        which = "" if guest == guests.TRIXIE else f"--guest {guest.name} "
        raise LabError(f"The lab is not running. Start it with: .venv/bin/python -m lab {which}up")
    forwards = {port: known.ports[port] for port in state.GUEST_PORTS if port in known.ports}

    def address_in_guest(name: str) -> str:
        return f"http://{_HOST_ADDRESS}:{known.ports[name]}" if name in server_names and name in known.ports else ""

    return Status(
        running=running,
        guest=guest.name,
        mode=known.mode,
        accel=known.accel,
        memory=known.memory,
        url=f"http://127.0.0.1:{forwards['85']}" if "85" in forwards else "",
        ssh_config=str(state.DIRECTORY / "ssh_config"),
        ssh_host=HOST,
        registry_mirror=address_in_guest(state.REGISTRY),
        model_registry=address_in_guest(state.MODELS),
        docker_apt_url=address_in_guest(state.PACKAGES),
        forwards=forwards,
        images={} if known.mode == HUB else dict(known.images),
        origins=list(known.origins),
        snapshots=list(known.snapshots),
        models=[smollm2.NAME] if known.mode == HUB or known.model == smollm2.REAL else list(models.NAMES),
        pids=alive,
    )
