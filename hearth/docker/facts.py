"""The Docker engine of a host: packages, configuration, service."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api.exceptions import FactPreconditionError
from typing_extensions import override

from hearth.paths import DAEMON_JSON, DAEMON_RECORD, ENGINE_PENDING
from hearth.runtime.sections import parse_sections
from hearth.runtime.state_fact import StateFact
from hearth.runtime.systemd import parse_service, service_section

# dpkg's states of packages that are fully installed, or not at all.
_CONSISTENT = ("installed", "not-installed", "config-files")
# Where Docker finds its Compose plugin.
COMPOSE_PLUGINS = tuple(
    f"{directory}/cli-plugins/docker-compose"
    for directory in ("/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker", "/usr/local/libexec/docker")
)


class EngineUnreachable(FactPreconditionError):
    """The Docker engine does not respond: its containers are unknown, as opposed to none.

    While pyinfra prepares, it treats this error as "not yet" (an earlier operation may start the engine); while it
    executes, it raises it.
    """

    def __init__(self, fact: type, message: str) -> None:
        super().__init__(fact, f"the Docker engine does not respond: {message}. See `sudo systemctl status docker`")


@dataclass(frozen=True)
class EngineState:
    """Docker's state on a host.

    Attributes:
        packages: names of those of the given packages that are installed.
        version: of the engine's package (`26.1.5`), "" if Docker is not from these.
        half_installed: names of those that an interrupted apt left unpacked but not configured.
        has_engine: the commands `dockerd` and `docker` exist, from any source.
        has_compose: the Compose plugin is installed.
        config: text of `daemon.json` (empty if there is none).
        record: text of Hearth's record of its own part.
        pending: a changed configuration requires a restart.
        active, enabled: of the service, according to systemd.
    """

    packages: frozenset[str] = frozenset()
    half_installed: frozenset[str] = frozenset()
    has_engine: bool = False
    has_compose: bool = False
    config: str = ""
    record: str = ""
    pending: bool = False
    active: bool = False
    enabled: bool = False
    version: str = ""


class Engine(StateFact[EngineState]):
    """Packages (of `packages`), configuration and service of the Docker engine, in one round trip."""

    @override
    def command(self, packages: tuple[str, ...]) -> str:
        names = " ".join(packages)
        return "; ".join(
            [
                "echo @@packages",
                f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' {names} 2>/dev/null",
                "echo @@engine",
                "command -v docker >/dev/null && command -v dockerd",
                "echo @@compose",
                f"ls {' '.join(COMPOSE_PLUGINS)} 2>/dev/null",
                "echo @@config",
                f"cat {DAEMON_JSON} 2>/dev/null",
                "echo @@record",
                f"cat {DAEMON_RECORD} 2>/dev/null",
                "echo @@pending",
                f"ls {ENGINE_PENDING} 2>/dev/null",
                service_section("docker.service"),
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> EngineState:
        sections = parse_sections(output)
        packages = [[*line.split(), "", ""][:3] for line in sections["packages"]]
        service = parse_service(sections)
        return EngineState(
            packages=frozenset(name for status, name, _ in packages if status == "installed"),
            half_installed=frozenset(name for status, name, _ in packages if status not in _CONSISTENT),
            has_engine=bool(sections["engine"]),
            has_compose=bool(sections["compose"]),
            config="\n".join(sections["config"]),
            record="\n".join(sections["record"]),
            pending=bool(sections["pending"]),
            active=service.active,
            enabled=service.enabled,
            # 5:27.3.1-1~debian.12~bookworm, 26.1.5+dfsg1-9+b4
            version=next(
                (
                    re.split(r"[-+~]", version.partition(":")[2] or version)[0]
                    for status, name, version in packages
                    if status == "installed" and name in ("docker.io", "docker-ce")
                ),
                "",
            ),
        )
