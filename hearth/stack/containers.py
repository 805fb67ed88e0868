"""Compare the desired containers with the actual ones. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hearth.paths import BACK, CA_CERTIFICATES, CONTAINERS, OUTBOUND_TARGET, PROJECT, SERVICE_NETWORKS

_LABEL = "com.docker.compose"
MISSING = "is missing"
UNLIMITED = "has no memory limit: it was created while the memory cgroup was off"
TOO_LIMITED = "has a memory limit that this kernel can't enforce"
# Mount of a container → the setting whose files it has, which are read when the container starts.
READ_AT_START = {OUTBOUND_TARGET: "host_http_proxy", CA_CERTIFICATES: "host_trusted_ca"}
# As many restarts by Docker count as a loop, not an accident.
LOOP = 3
# Maximum length of a quoted health check output; `docker inspect` shows the rest.
_MAX_TROUBLE = 200


@dataclass(frozen=True)
class Container:
    """One container as reported by the engine.

    Attributes:
        service: its Compose service, or "" if it only has one of our names and is not from our Compose project.
        config_hash: of the configuration that Compose created it from.
        status: `running`, `exited`, `restarting`, …
        health: `healthy`, `unhealthy`, `starting`, or "" without a health check.
        image: id of its image.
        networks: names of its networks.
        memory: its limit in bytes; 0 for none.
        trouble: the last line of the most recent failed health check; "" if none in Docker's log failed.
        restarts: how often Docker restarted it after it ended.
        exit_code: of its last exit; 0 while it runs.
        is_named: it has the network alias that other containers use, the name of its service.
        mounts: paths in it.
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
    mounts: frozenset[str] = frozenset()


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
        mounts=frozenset(mount["Destination"] for mount in inspected.get("Mounts") or ()),
    )


def _trouble(log: Sequence[Mapping[str, Any]]) -> str:
    """From Docker's health log of the last five checks, oldest first."""
    for check in reversed(log):
        if check.get("ExitCode"):
            lines = ["".join(filter(str.isprintable, line)).strip() for line in check.get("Output", "").splitlines()]
            return next(filter(None, reversed(lines)), "")[:_MAX_TROUBLE]
    return ""


def is_stuck(trouble: str) -> bool:
    """Whether this is output of files/ollama/health.bash about an Ollama that accepts prompts and answers none."""
    # The last alternative: a container that still runs the check of an earlier version.
    return bool(re.search(r"\bstuck: |request\(s\) waiting|question\(s\) wait", trouble))


@dataclass(frozen=True)
class Drift:
    """One difference.

    Attributes:
        what: the difference, as text.
        remedy: `up` (Compose detects it itself), `recreate` or `remove`.
        is_hung: its responses will never finish, so there is no point in waiting for them.
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
    unread: frozenset[str] = frozenset(),
) -> list[Drift]:
    """Every difference between the containers and the Compose file.

    Args:
        hashes: service → hash of its configuration, from `docker compose config --hash '*'`.
        containers: those of the project, and those that only have the name of one of its containers.
        images: service → id of the image that its tag refers to now ("" if unknown).
        limited: services whose memory limits are in force; None if unknown.
        unread: mounts in READ_AT_START whose files have changed since.
    """
    drift = [
        Drift(container.name, "was not created by this Compose project", "remove")
        for container in containers
        if not container.service and container.name in CONTAINERS.values()
    ]
    by_service: dict[str, Container] = {}
    for container in containers:
        if not container.service:
            continue
        if container.service not in hashes:
            drift.append(Drift(container.name, "no longer belongs to a service", "up"))
        elif container.name != CONTAINERS.get(container.service, container.name):
            # Compose renames the old container while it creates the new one; an interruption leaves both.
            drift.append(Drift(container.name, "is left over from an interrupted change", "remove"))
        else:
            by_service[container.service] = container
    for service, config_hash in hashes.items():
        if service in by_service:
            drift += _differences(by_service[service], config_hash, images.get(service, ""))
            if by_service[service].config_hash == config_hash:
                drift += _limits(by_service[service], limited)
                drift += [
                    Drift(CONTAINERS[service], f"has not read the current {READ_AT_START[mount]}", "recreate")
                    for mount in sorted(unread & by_service[service].mounts)
                ]
        else:
            drift.append(Drift(CONTAINERS.get(service, service), MISSING, "up"))
    return drift


def _differences(container: Container, config_hash: str, image: str) -> list[Drift]:
    found = []
    if container.config_hash != config_hash:
        found.append(Drift(container.name, "was created from a different configuration", "up"))
    if image and container.image != image:
        found.append(Drift(container.name, "runs a different image", "up"))
    if container.status == "restarting":
        ended = f"ended {_times(container.restarts)}, most recently with exit code {container.exit_code}"
        found.append(Drift(container.name, f"is restarting ({ended})", "recreate"))
    elif container.status in ("paused", "dead", "removing"):
        found.append(Drift(container.name, f"is {container.status}", "recreate", container.status == "paused"))
    elif container.status != "running":
        state = "has exited" if container.status == "exited" else f"is {container.status}, but not running"
        found.append(Drift(container.name, state, "up"))
    elif container.health == "starting" and container.restarts >= LOOP:
        found.append(Drift(container.name, f"is starting again, and ended {_times(container.restarts)}", "recreate"))
    elif container.health == "starting":
        found.append(Drift(container.name, "is still starting", "up"))
    elif container.health == "unhealthy":
        why = f' ("{container.trouble}")' if container.trouble else ""
        found.append(Drift(container.name, f"is unhealthy{why}", "recreate", is_stuck(container.trouble)))
    if container.status == "running" and container.networks != SERVICE_NETWORKS.get(container.service):
        found.append(Drift(container.name, f"is on the networks {sorted(container.networks)}", "recreate"))
    elif container.status == "running" and not container.is_named:
        # As after `docker network connect` without an alias: all looks fine, but the name does not resolve.
        found.append(Drift(container.name, f"has no alias {container.service} on its network", "recreate"))
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _limits(container: Container, limited: frozenset[str] | None) -> list[Drift]:
    """The engine drops a limit that the kernel can't enforce, which Compose's hash does not reflect."""
    if limited is None or (container.service in limited) == bool(container.memory):
        return []
    return [Drift(container.name, TOO_LIMITED if container.memory else UNLIMITED, "recreate")]
