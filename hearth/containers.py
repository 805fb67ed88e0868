"""What containers should be like, what they are like, and why they differ. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hearth.host_paths import CONTAINERS, PROJECT, SERVICE_NETWORKS

_LABEL = "com.docker.compose"
MISSING = "is missing"
UNLIMITED = "has no memory limit, since it was made while the kernel did not count memory"
TOO_LIMITED = "has a memory limit, which this kernel can't keep"


@dataclass(frozen=True)
class Container:
    """One container as the engine shows it.

    Attributes:
        service: its Compose service, or "" if it has one of our names but was not made by our Compose project.
        config_hash: what Compose made it from.
        status: `running`, `exited`, `restarting`, …
        health: `healthy`, `unhealthy`, `starting`, or "" without a health check.
        image: id of its image.
        networks: names of the networks it is on.
        memory: bytes it may use; 0 without a limit.
    """

    name: str
    service: str
    config_hash: str
    status: str
    health: str
    image: str
    networks: frozenset[str]
    memory: int = 0


def parse_container(inspected: Mapping[str, Any]) -> Container:
    """A container from one object of `docker inspect`."""
    labels = inspected["Config"].get("Labels") or {}
    ours = labels.get(f"{_LABEL}.project") == PROJECT and labels.get(f"{_LABEL}.oneoff") != "True"
    return Container(
        name=inspected["Name"].removeprefix("/"),
        service=labels.get(f"{_LABEL}.service", "") if ours else "",
        config_hash=labels.get(f"{_LABEL}.config-hash", ""),
        status=inspected["State"]["Status"],
        health=(inspected["State"].get("Health") or {}).get("Status", ""),
        image=inspected["Image"],
        networks=frozenset(inspected["NetworkSettings"]["Networks"] or {}),
        memory=(inspected.get("HostConfig") or {}).get("Memory") or 0,
    )


@dataclass(frozen=True)
class Drift:
    """One difference: `what` a person reads; `remedy` is `up` (Compose sees it itself), `recreate` or `remove`."""

    name: str
    what: str
    remedy: str


def find_drift(
    hashes: Mapping[str, str],
    containers: list[Container],
    images: Mapping[str, str],
    limited: frozenset[str] | None = None,
) -> list[Drift]:
    """Every way in which the containers are not what the Compose file says.

    Args:
        hashes: service → hash of its configuration, from `docker compose config --hash '*'`.
        containers: those of the project, and those that only bear one of its containers' names.
        images: service → id of the image that its tag leads to now ("" if unknown).
        limited: services whose containers have memory limits in force; None if unknown.
    """
    drift = [
        Drift(container.name, "was not made by this Compose project", "remove")
        for container in containers
        if not container.service and container.name in CONTAINERS.values()
    ]
    by_service: dict[str, Container] = {}
    for container in containers:
        if not container.service:
            continue
        if container.service not in hashes:
            drift.append(Drift(container.name, "belongs to no service any more", "up"))
        elif container.name != CONTAINERS.get(container.service, container.name):
            # Compose renames the old container while it makes the new one; a cut leaves both.
            drift.append(Drift(container.name, "was left behind by an interrupted change", "remove"))
        else:
            by_service[container.service] = container
    for service, config_hash in hashes.items():
        if service in by_service:
            drift += _differences(by_service[service], config_hash, images.get(service, ""))
            if by_service[service].config_hash == config_hash:
                drift += _limits(by_service[service], limited)
        else:
            drift.append(Drift(CONTAINERS.get(service, service), MISSING, "up"))
    return drift


def _differences(container: Container, config_hash: str, image: str) -> list[Drift]:
    found = []
    if container.config_hash != config_hash:
        found.append(Drift(container.name, "was made from another configuration", "up"))
    if image and container.image != image:
        found.append(Drift(container.name, "runs another image", "up"))
    if container.status in ("paused", "restarting", "dead", "removing"):
        found.append(Drift(container.name, f"is {container.status}", "recreate"))
    elif container.status != "running":
        found.append(Drift(container.name, f"is not running but {container.status}", "up"))
    elif container.health == "starting":
        found.append(Drift(container.name, "is still starting", "up"))
    elif container.health == "unhealthy":
        found.append(Drift(container.name, "is unhealthy", "recreate"))
    if container.status == "running" and container.networks != SERVICE_NETWORKS.get(container.service):
        found.append(Drift(container.name, f"is on the networks {sorted(container.networks)}", "recreate"))
    return found


def _limits(container: Container, limited: frozenset[str] | None) -> list[Drift]:
    """The engine leaves a limit out where the kernel can't keep it, and Compose's hash knows nothing of that."""
    if limited is None or (container.service in limited) == bool(container.memory):
        return []
    return [Drift(container.name, TOO_LIMITED if container.memory else UNLIMITED, "recreate")]
