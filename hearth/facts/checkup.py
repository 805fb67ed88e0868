"""What preflight wants to know of a host, before anything is changed on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pyinfra.api import FactBase
from typing_extensions import override

from hearth.host_paths import IMAGES_LOCK, MODELS_VOLUME, PROJECT
from hearth.listeners import Listener, parse_listeners, parse_published
from hearth.model_names import name_from_manifest
from hearth.sections import parse_assignments, parse_sections


@dataclass(frozen=True)
class Privileges:
    """Who we are on the host: numeric user id, and whether `sudo` is there."""

    user_id: int = -1
    has_sudo: bool = False


class Login(FactBase[Privileges]):
    """The user that pyinfra logged in as."""

    @override
    def command(self) -> str:
        return "id -u; command -v sudo; true"

    @override
    def process(self, output: Iterable[str]) -> Privileges:
        user_id, *sudo = list(output)
        return Privileges(int(user_id), bool(sudo))


@dataclass(frozen=True)
class CheckupState:
    """A host before the deploy.

    Attributes:
        os_release: `/etc/os-release` as names to values.
        architecture: as dpkg names it (`arm64`).
        free_bytes: path asked for → free bytes on its file system (that of its nearest existing parent).
        file_system: path asked for → the file system's mount point.
        existing: those of the paths asked for that exist.
        listeners: TCP sockets that listen, with the program that holds them.
        engine_answers: `docker ps` worked.
        published: ports that Hearth's own containers publish.
        images: references of the images that Hearth has pulled.
        models: `name:tag` of the models in Hearth's store.
    """

    os_release: dict[str, str] = field(default_factory=dict)
    architecture: str = ""
    free_bytes: dict[str, int] = field(default_factory=dict)
    file_system: dict[str, str] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    listeners: tuple[Listener, ...] = ()
    engine_answers: bool = False
    published: frozenset[int] = frozenset()
    images: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


class Checkup(FactBase[CheckupState]):
    """Everything that preflight looks at, in one round trip. Works on a host that has nothing of Hearth yet."""

    @staticmethod
    @override
    def default() -> CheckupState:
        return CheckupState()

    @override
    def command(self, paths: tuple[str, ...], models_dir: str) -> str:
        store = f"{models_dir or f'/var/lib/docker/volumes/{MODELS_VOLUME}/_data'}/models/manifests"
        disk = (
            'e="$p"; while [ ! -e "$e" ]; do e=$(dirname "$e"); done; [ "$e" = "$p" ] && x=yes || x=no; '
            'df -Pk "$e" | awk -v p="$p" -v x=$x \'NR==2 {print p, x, $4, $6}\''
        )
        return "; ".join(
            [
                "echo @@os; cat /etc/os-release",
                "echo @@architecture; dpkg --print-architecture 2>/dev/null || uname -m",
                f"echo @@disk; for p in {' '.join(paths)}; do {disk}; done",
                "echo @@listeners; ss -H -ltnp 2>/dev/null",
                "echo @@ours; command -v docker >/dev/null && timeout 40 docker ps "
                f"--filter label=com.docker.compose.project={PROJECT} "
                "--format '{{.Ports}}' 2>/dev/null && echo @@answers",
                f"echo @@images; cat {IMAGES_LOCK} 2>/dev/null",
                f"echo @@models; cd {store} 2>/dev/null && find . -type f -printf '%P\\n'",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> CheckupState:
        sections = parse_sections(output)
        disk = [line.split() for line in sections["disk"]]
        return CheckupState(
            os_release=parse_assignments(sections["os"]),
            architecture=next(iter(sections["architecture"]), ""),
            free_bytes={path: int(free) * 1024 for path, _, free, _ in disk},
            file_system={path: mount for path, _, _, mount in disk},
            existing=frozenset(path for path, exists, _, _ in disk if exists == "yes"),
            listeners=parse_listeners(sections["listeners"]),
            engine_answers="answers" in sections,
            published=frozenset(port for ports in sections["ours"] for port in parse_published(ports)),
            images=frozenset(line.split()[0] for line in sections["images"] if line.strip()),
            models=frozenset(name_from_manifest(path) for path in sections["models"]),
        )
