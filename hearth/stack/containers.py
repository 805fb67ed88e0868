"""What containers should be like, what they are like, and why they differ. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hearth.paths import BACK, CONTAINERS, PROJECT, SERVICE_NETWORKS

_LABEL = "com.docker.compose"
MISSING = "is missing"
UNLIMITED = "has no memory limit, since it was made while the kernel did not count memory"
TOO_LIMITED = "has a memory limit, which this kernel can't keep"
# So often ended and started again by Docker is a loop, and not an accident.
LOOP = 3
# Of what a health check said; the rest is for `docker inspect`.
_LONGEST_WORDS = 200


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
        trouble: the last line of the health check that failed last, "" where none of those that Docker keeps did.
        restarts: how often it ended and Docker started it again, since somebody started it.
        exit_code: with which it ended last; 0 while it runs.
        is_named: other containers on its network find it by the name of its service.
    """

    name: str
    service: str
    config_hash: str
    status: str
    health: str
    image: str
    networks: frozenset[str]
    memory: int = 0
    trouble: str = ""
    restarts: int = 0
    exit_code: int = 0
    is_named: bool = True


def parse_container(inspected: Mapping[str, Any]) -> Container:
    """A container from one object of `docker inspect`."""
    labels = inspected["Config"].get("Labels") or {}
    ours = labels.get(f"{_LABEL}.project") == PROJECT and labels.get(f"{_LABEL}.oneoff") != "True"
    state, networks = inspected["State"], inspected["NetworkSettings"]["Networks"] or {}
    service = labels.get(f"{_LABEL}.service", "") if ours else ""
    return Container(
        name=inspected["Name"].removeprefix("/"),
        service=service,
        config_hash=labels.get(f"{_LABEL}.config-hash", ""),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        image=inspected["Image"],
        networks=frozenset(networks),
        memory=(inspected.get("HostConfig") or {}).get("Memory") or 0,
        trouble=_trouble((state.get("Health") or {}).get("Log") or ()),
        restarts=inspected.get("RestartCount") or 0,
        exit_code=state.get("ExitCode") or 0,
        is_named=not service or BACK not in networks or service in (networks[BACK].get("Aliases") or ()),
    )


def _trouble(log: Sequence[Mapping[str, Any]]) -> str:
    """From a health log, which Docker keeps of the last five checks, oldest first."""
    for check in reversed(log):
        if check.get("ExitCode"):
            lines = ["".join(filter(str.isprintable, line)).strip() for line in check.get("Output", "").splitlines()]
            return next(filter(None, reversed(lines)), "")[:_LONGEST_WORDS]
    return ""


def is_stuck(trouble: str) -> bool:
    """Whether these are words of files/ollama/health.bash about an Ollama that takes questions and answers none."""
    return bool(re.search(r"\bstuck: |question\(s\) wait", trouble))


@dataclass(frozen=True)
class Drift:
    """One difference.

    Attributes:
        what: as a person reads it.
        remedy: `up` (Compose sees it itself), `recreate` or `remove`.
        is_hung: no answer that it gives will ever end, so there is none to wait for.
    """

    name: str
    what: str
    remedy: str
    is_hung: bool = False


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
    if container.status == "restarting":
        ended = f"ended {_times(container.restarts)}, the last time with exit code {container.exit_code}"
        found.append(Drift(container.name, f"is restarting ({ended})", "recreate"))
    elif container.status in ("paused", "dead", "removing"):
        found.append(Drift(container.name, f"is {container.status}", "recreate", container.status == "paused"))
    elif container.status != "running":
        found.append(Drift(container.name, f"is not running but {container.status}", "up"))
    elif container.health == "starting" and container.restarts >= LOOP:
        found.append(
            Drift(container.name, f"is starting once more, and ended {_times(container.restarts)}", "recreate")
        )
    elif container.health == "starting":
        found.append(Drift(container.name, "is still starting", "up"))
    elif container.health == "unhealthy":
        why = f' ("{container.trouble}")' if container.trouble else ""
        found.append(Drift(container.name, f"is unhealthy{why}", "recreate", is_stuck(container.trouble)))
    if container.status == "running" and container.networks != SERVICE_NETWORKS.get(container.service):
        found.append(Drift(container.name, f"is on the networks {sorted(container.networks)}", "recreate"))
    elif container.status == "running" and not container.is_named:
        # As after `docker network connect` without an alias: all seems well, and nobody finds it.
        found.append(Drift(container.name, f"is not known as {container.service} on its network", "recreate"))
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _limits(container: Container, limited: frozenset[str] | None) -> list[Drift]:
    """The engine leaves a limit out where the kernel can't keep it, and Compose's hash knows nothing of that."""
    if limited is None or (container.service in limited) == bool(container.memory):
        return []
    return [Drift(container.name, TOO_LIMITED if container.memory else UNLIMITED, "recreate")]
