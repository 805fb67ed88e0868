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

# dpkg's words for packages that are all there, or not there at all.
_WHOLE = ("installed", "not-installed", "config-files")


class EngineUnreachable(FactPreconditionError):
    """The Docker engine gave no answer: what it runs cannot be known, which is not the same as "nothing".

    pyinfra takes this error for "not yet" while it prepares (an earlier operation may start the engine), and
    raises it while it executes.
    """

    def __init__(self, fact: type, message: str) -> None:
        super().__init__(fact, f"the Docker engine does not answer: {message}. `sudo systemctl status docker` says why")


@dataclass(frozen=True)
class EngineState:
    """What a host has of Docker.

    Attributes:
        packages: names of the packages, of those asked for, that are installed.
        version: of the engine's package (`26.1.5`), "" where Docker did not come from these.
        half_installed: names of those that were unpacked and not configured, by an apt that was interrupted.
        has_engine: commands `dockerd` and `docker` are there, however they came.
        has_compose: the Compose plugin is there.
        config: text of `daemon.json` (empty if there is none).
        record: text of Hearth's own record of what it put there.
        pending: a changed configuration waits for a restart.
        active, enabled: of the service, as systemd has it.
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
        plugins = " ".join(
            f"{place}/cli-plugins/docker-compose"
            for place in (
                "/usr/libexec/docker",
                "/usr/lib/docker",
                "/usr/local/lib/docker",
                "/usr/local/libexec/docker",
            )
        )
        return "; ".join(
            [
                "echo @@packages",
                f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' {names} 2>/dev/null",
                "echo @@engine",
                "command -v docker >/dev/null && command -v dockerd",
                "echo @@compose",
                f"ls {plugins} 2>/dev/null",
                "echo @@config",
                f"cat {DAEMON_JSON} 2>/dev/null",
                "echo @@record",
                f"cat {DAEMON_RECORD} 2>/dev/null",
                "echo @@pending",
                f"ls {ENGINE_PENDING} 2>/dev/null",
                "echo @@service",
                "systemctl is-active docker.service; systemctl is-enabled docker.service 2>/dev/null",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> EngineState:
        sections = parse_sections(output)
        packages = [[*line.split(), "", ""][:3] for line in sections["packages"]]
        return EngineState(
            packages=frozenset(name for status, name, _ in packages if status == "installed"),
            half_installed=frozenset(name for status, name, _ in packages if status not in _WHOLE),
            has_engine=bool(sections["engine"]),
            has_compose=bool(sections["compose"]),
            config="\n".join(sections["config"]),
            record="\n".join(sections["record"]),
            pending=bool(sections["pending"]),
            active="active" in sections["service"],
            enabled="enabled" in sections["service"],
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
