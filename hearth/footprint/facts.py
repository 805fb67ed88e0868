"""Everything of Hearth on a host, and what else uses it: for backup, restore and uninstall."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hearth.docker.facts import EngineUnreachable
from hearth.docker.image_lock import image_ids
from hearth.firewall.rules import FIREWALL_TRACES
from hearth.footprint.image import Image
from hearth.metrics.rules import METRICS_TRACES
from hearth.outbound.files import OUTBOUND_TRACES
from hearth.paths import (
    BOOT_LINE_BEFORE,
    DAEMON_JSON,
    DAEMON_RECORD,
    ENGINE_PENDING,
    IMAGES_FOUND,
    IMAGES_LOCK,
    MODELS_VOLUME,
    NETWORKS,
    ROOT,
)
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote
from hearth.runtime.state_fact import StateFact


@dataclass(frozen=True)
class Neighbour:
    """Any container on the host.

    Attributes:
        id, name: of the container.
        image: id of its image.
        project, directory: its Compose project and that project's directory; "" without one.
        networks, volumes: names.
    """

    id: str
    name: str
    image: str
    project: str = ""
    directory: str = ""
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Owned:
    """A network or a volume: its Compose project ("" for none), and the path of its data."""

    project: str = ""
    mount: str = ""


@dataclass(frozen=True)
class FootprintState:
    """Hearth's footprint on a host.

    Attributes:
        known: the host was queried. While preparing, pyinfra returns the default if the engine does not respond.
        has_root: `/opt/hearth` exists.
        files: all paths below it except directories.
        directories: paths below it.
        config, record: text of the engine's `daemon.json` and of Hearth's part of it.
        pending: a changed `daemon.json` requires a restart of the engine.
        lock, found: reference → id of the images that Hearth uses, and of those that existed before it.
        has_docker: Docker is installed, and the engine responds.
        containers: all on the host.
        boot: Hearth added an option to the kernel command line.
        firewall: some part of Hearth's firewall exists.
        outbound: some file of an HTTP proxy exists.
        metrics: some part of the metrics' service exists.
        networks: those with Hearth's names, by name.
        volume: the one with Hearth's name; None if there is none.
        images: reference → its current image, for those in `lock`.
        store: directory of the models, with or without `blobs` and `manifests` in it; "" if there is no volume.
        store_files: path below it → bytes; without partial downloads.
        manifests: path below `manifests` in it → SHA-256 (hex), which is the model's digest.
    """

    known: bool = True
    has_root: bool = False
    files: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()
    config: str = ""
    record: str = ""
    pending: bool = False
    lock: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    has_docker: bool = False
    containers: tuple[Neighbour, ...] = ()
    boot: bool = False
    firewall: bool = False
    outbound: bool = False
    metrics: bool = False
    networks: dict[str, Owned] = field(default_factory=dict)
    volume: Owned | None = None
    images: dict[str, Image] = field(default_factory=dict)
    store: str = ""
    store_files: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)


_LABELS = "{{json .Labels}}"


class Footprint(StateFact[FootprintState]):
    """All of Hearth on a host, in one round trip. Also works without Hearth or Docker.

    Raises:
        EngineUnreachable: Docker is installed and does not respond.
    """

    @classmethod
    @override
    def default(cls) -> FootprintState:
        return FootprintState(known=False)

    @override
    def command(self, models_dir: str) -> str:
        container = (
            "[{{json .Id}},{{json .Name}},{{json .Image}},{{json .Config.Labels}},{{json .NetworkSettings.Networks}},"
            "{{json .Mounts}}]"
        )
        volume = f"docker volume inspect {MODELS_VOLUME}"
        networks = f"docker network inspect {' '.join(NETWORKS)} --format '[{{{{json .Name}}}},{_LABELS}]'"
        mount = f"m={quote(models_dir)}" if models_dir else f"m=$({volume} --format '{{{{.Mountpoint}}}}' 2>/dev/null)"
        return "; ".join(
            [
                f"[ -d {ROOT} ] && echo @@root",
                f"echo @@files; find {ROOT} -mindepth 1 -printf '%y %P\\n' 2>/dev/null",
                f"echo @@config; cat {DAEMON_JSON} 2>/dev/null",
                f"echo; echo @@record; cat {DAEMON_RECORD} 2>/dev/null",
                f"echo; echo @@pending; ls {ENGINE_PENDING} 2>/dev/null",
                f"echo @@lock; cat {IMAGES_LOCK} 2>/dev/null",
                f"echo @@found; cat {IMAGES_FOUND} 2>/dev/null",
                f"echo @@boot; ls {BOOT_LINE_BEFORE} 2>/dev/null",
                f"echo @@firewall; {FIREWALL_TRACES}",
                f"echo @@outbound; {OUTBOUND_TRACES}",
                f"echo @@metrics; {METRICS_TRACES}",
                "command -v docker >/dev/null || exit 0",
                f"{DOCKER_WITH_TIMEOUT}echo @@complaints",
                'ids=$(docker ps --all --quiet --no-trunc 2>&1) || { echo "$ids"; exit 0; }',
                f"echo @@containers; [ -z \"$ids\" ] || docker inspect --format '{container}' $ids 2>/dev/null",
                f"echo @@networks; {networks} 2>/dev/null",
                f"echo @@volume; {volume} --format '[{_LABELS},{{{{json .Mountpoint}}}}]' 2>/dev/null",
                f"echo @@images; cut -d ' ' -f 1 {IMAGES_LOCK} 2>/dev/null | while read -r name; do "
                'docker image inspect --format "$name {{.Id}} {{json .RepoDigests}}" "$name" 2>/dev/null; done',
                f'echo @@store; {mount}; echo "$m"; [ "$m" ] && cd "$m/models" 2>/dev/null && '
                "find blobs manifests -type f ! -name '*-partial*' -printf '%s %p\\n' 2>/dev/null",
                'echo @@manifests; [ "$m" ] && cd "$m/models/manifests" 2>/dev/null && '
                "find . -type f -printf '%P\\0' | xargs -0 -r sha256sum",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> FootprintState:
        sections = parse_sections(output)
        if complaints := sections.get("complaints"):
            raise EngineUnreachable(type(self), " ".join(complaints))

        def lines(name: str) -> list[str]:
            # `docker … inspect` prints an empty line for missing objects.
            return [line for line in sections.get(name, []) if line.strip()]

        entries = [line.partition(" ") for line in lines("files")]
        mount, *stored = sections.get("store") or [""]
        sizes = (line.partition(" ") for line in stored)
        return FootprintState(
            has_root="root" in sections,
            files=frozenset(path for kind, _, path in entries if kind != "d"),
            directories=frozenset(path for kind, _, path in entries if kind == "d"),
            config="\n".join(lines("config")),
            record="\n".join(lines("record")),
            pending=bool(lines("pending")),
            lock=image_ids(lines("lock")),
            found=image_ids(lines("found")),
            boot=bool(lines("boot")),
            firewall=bool(lines("firewall")),
            outbound=bool(lines("outbound")),
            metrics=bool(lines("metrics")),
            has_docker="complaints" in sections,
            containers=tuple(_container(line) for line in lines("containers")),
            networks={name: Owned(_project(labels)) for name, labels in map(json.loads, lines("networks"))},
            volume=next((_volume(line) for line in lines("volume")), None),
            images=dict(_image(line) for line in lines("images")),
            store=f"{mount}/models" if mount else "",
            store_files={path: int(size) for size, _, path in sizes},
            manifests=parse_digests(lines("manifests")),
        )


def _project(labels: dict[str, str] | None) -> str:
    return (labels or {}).get("com.docker.compose.project", "")


def _container(line: str) -> Neighbour:
    identity, name, image, labels, networks, mounts = json.loads(line)
    return Neighbour(
        id=identity,
        name=name.removeprefix("/"),
        image=image,
        project=_project(labels),
        directory=(labels or {}).get("com.docker.compose.project.working_dir", ""),
        networks=frozenset(networks or {}),
        volumes=frozenset(mount["Name"] for mount in mounts or [] if mount.get("Type") == "volume"),
    )


def _volume(line: str) -> Owned:
    labels, mount = json.loads(line)
    return Owned(_project(labels), mount)


def _image(line: str) -> tuple[str, Image]:
    reference, identity, digests = line.split(maxsplit=2)
    return reference, Image(id=identity, digests=tuple(json.loads(digests) or ()))
