"""The Compose project of a host."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyinfra.api import FactBase
from typing_extensions import override

from hearth.containers import Container, parse_container
from hearth.facts.engine import EngineUnreachable
from hearth.host_paths import CONTAINERS, PROJECT, RELOAD_PENDING, ROOT
from hearth.sections import parse_sections


@dataclass(frozen=True)
class ProjectState:
    """What a host has of the stack.

    Attributes:
        hashes: service → hash of its configuration in the host's compose.yaml.
        containers: of the project, or with one of its containers' names.
        reload_pending: httpd.conf was changed and httpd has not been told yet.
    """

    hashes: dict[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    reload_pending: bool = False


class Project(FactBase[ProjectState]):
    """Expected configuration hashes and existing containers, in one round trip.

    Raises:
        EngineUnreachable: Docker is installed and does not answer.
    """

    @staticmethod
    @override
    def default() -> ProjectState:
        return ProjectState()

    @override
    def command(self) -> str:
        names = "|".join(CONTAINERS.values())
        return (
            f"cd {ROOT} 2>/dev/null && [ -f compose.yaml ] && command -v docker >/dev/null || exit 0; "
            f"echo @@pending; ls {RELOAD_PENDING} 2>/dev/null; "
            # A broken file, or no plugin, gives no hashes: then `up` runs, and shows what Compose says of it.
            "echo @@hashes; docker compose config --hash '*' 2>/dev/null; "
            "echo @@ids; "
            f"ids=$(docker ps -aq --no-trunc --filter label=com.docker.compose.project={PROJECT} 2>&1; "
            f"docker ps -aq --no-trunc --filter 'name=^/?({names})$' 2>&1); "
            "echo \"$ids\" | grep -vE '^[0-9a-f]{64}$|^$'; "
            "echo @@containers; ids=$(echo \"$ids\" | grep -E '^[0-9a-f]{64}$' | sort -u); "
            "[ -z \"$ids\" ] || docker inspect --format '{{json .}}' $ids 2>/dev/null; true"
        )

    @override
    def process(self, output: Iterable[str]) -> ProjectState:
        sections = parse_sections(output)
        if complaints := sections["ids"]:
            raise EngineUnreachable(type(self), " ".join(complaints))
        return ProjectState(
            hashes=dict(line.split(maxsplit=1) for line in sections["hashes"]),
            containers=tuple(parse_container(json.loads(line)) for line in sections["containers"]),
            reload_pending=bool(sections["pending"]),
        )
