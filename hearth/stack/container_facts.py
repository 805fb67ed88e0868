"""The Compose project of a host."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from hearth.docker.facts import COMPOSE_PLUGINS, EngineUnreachable
from hearth.docker.image_lock import image_ids
from hearth.paths import (
    CA_CERTIFICATES,
    COMPOSE_HASHES,
    CONTAINERS,
    IMAGES_LOCK,
    OUTBOUND_PENDING,
    OUTBOUND_TARGET,
    PROJECT,
    RELOAD_PENDING,
    ROOT,
    TRUSTED_CA_PENDING,
)
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, script_without_comments
from hearth.runtime.state_fact import StateFact
from hearth.stack.containers import Container, parse_container

# Mark → mount of the containers that have not read its files since these changed.
UNREAD_MARKS = {OUTBOUND_PENDING: OUTBOUND_TARGET, TRUSTED_CA_PENDING: CA_CERTIFICATES}
_HASHES = script_without_comments(Path(__file__).with_name("compose_hashes.sh"))


@dataclass(frozen=True)
class ProjectState:
    """The stack's current state on a host.

    Attributes:
        hashes: service → hash of its configuration in the host's compose.yaml.
        containers: those of the project, and those with the name of one of its containers.
        images: reference → image id, as recorded when pulled.
        reload_pending: httpd.conf was changed, and httpd has not reloaded yet.
        unread: mounts whose files have changed since the containers read them.
    """

    hashes: dict[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    images: dict[str, str] = field(default_factory=dict)
    reload_pending: bool = False
    unread: frozenset[str] = frozenset()


class Project(StateFact[ProjectState]):
    """Expected configuration hashes and existing containers, in one round trip.

    Raises:
        EngineUnreachable: Docker is installed and does not respond.
    """

    @override
    def command(self) -> str:
        names = "|".join(CONTAINERS.values())
        # The project's label is last, since it may be any text.
        mine = f"^[0-9a-f]{{64}} (({names}) .*|[^ ]+ {PROJECT})$"
        return (
            f"cd {ROOT} 2>/dev/null && [ -f compose.yaml ] && command -v docker >/dev/null || exit 0; "
            f"{DOCKER_WITH_TIMEOUT}echo @@pending; ls {RELOAD_PENDING} 2>/dev/null; "
            f"echo @@unread; ls {' '.join(UNREAD_MARKS)} 2>/dev/null; echo @@pulled; cat {IMAGES_LOCK} "
            "2>/dev/null; "
            f"echo @@hashes; plugins='{' '.join(COMPOSE_PLUGINS)}' hashes={COMPOSE_HASHES}\n{_HASHES}\n"
            "echo @@complaints; "
            "all=$(docker ps --all --no-trunc --format "
            '\'{{.ID}} {{.Names}} {{.Label "com.docker.compose.project"}}\' 2>&1) || echo "$all"; '
            f"echo @@project; ids=$(echo \"$all\" | grep -E '{mine}' | cut -c -64); "
            "[ -z \"$ids\" ] || docker inspect --format '{{json .}}' $ids 2>/dev/null; true"
        )

    @override
    def process(self, output: Iterable[str]) -> ProjectState:
        sections = parse_sections(output)
        if complaints := sections["complaints"]:
            raise EngineUnreachable(type(self), " ".join(complaints))
        return ProjectState(
            hashes=dict(line.split(maxsplit=1) for line in sections["hashes"]),
            containers=tuple(parse_container(json.loads(line)) for line in sections["project"]),
            images=image_ids(sections["pulled"]),
            reload_pending=bool(sections["pending"]),
            unread=frozenset(UNREAD_MARKS[path] for path in sections["unread"]),
        )
