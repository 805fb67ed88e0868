"""The host facts that preflight needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from hearth.docker.daemon_json import parse_config
from hearth.firewall.rules import FIREWALL_TRACES
from hearth.gpu.devices import GPU_PROBE, Gpus, parse_gpus
from hearth.host.hardware import HARDWARE_SCRIPT, Hardware, parse_hardware
from hearth.host.ports import Listener, parse_listeners
from hearth.metrics.rules import METRICS_TRACES
from hearth.models.disk import (
    FINDMNT,
    ModelDisk,
    kind_of_mount,
    not_mounted,
    parse_findmnt,
    parse_mount_points,
    parse_record,
)
from hearth.outbound.files import OUTBOUND_TRACES
from hearth.paths import (
    CONTAINERD_DIR,
    DAEMON_JSON,
    DAEMON_RECORD,
    DOCKER_DIR,
    ENGINE_INFO,
    IMAGES_LOCK,
    LOCAL_NAME_RECORD,
    MODELS_DISK,
    MODELS_VOLUME,
)
from hearth.preflight.existing_services import (
    CONTAINERS_FORMAT,
    ExistingServices,
    parse_containers,
    parse_existing_services,
)
from hearth.preflight.lxc import ContainerHost, parse_container_host
from hearth.preflight.machine import Machine, parse_machine
from hearth.runtime.sections import parse_assignments, parse_sections
from hearth.runtime.shell import script_without_comments
from hearth.runtime.state_fact import StateFact
from hearth.settings.model_names import FIND_MANIFESTS, name_from_manifest
from hearth.virtual_address.rules import VIRTUAL_ADDRESS_TRACES


def _script(name: str) -> str:
    return script_without_comments(Path(__file__).with_name(name))


_LXC_PROBE, _EXISTING_SERVICES_PROBE = _script("lxc_probe.sh"), _script("existing_services_probe.sh")
_MACHINE_PROBE = _script("machine_probe.sh")
_IMAGE_STORE_PROBE = _script("image_store_probe.sh").rstrip()


@dataclass(frozen=True)
class HostFactsState:
    """A host before the deploy.

    Attributes:
        os_release: `/etc/os-release` as names to values.
        architecture: dpkg's name (`arm64`).
        free_bytes: checked path → free bytes on its file system (that of its nearest existing parent). The path
            `/var/lib/docker` means Docker's data-root, `/var/lib/containerd` its containerd's root.
        file_system: checked path → the file system's mount point.
        existing: the checked paths that exist.
        listeners: listening TCP sockets, with their programs.
        engine_answers: `docker ps` succeeded.
        published: port that Hearth's own containers publish → whether it is the page's.
        images: references of the images that Hearth has pulled.
        models: `name:tag` of the models in Hearth's store.
        not_mounted: mount points at or above the models' directory that fstab lists, with nothing mounted there.
        models_disk: the file system that the models' directory is on.
        models_file_system: its type (`ext4`); "" if unknown.
        recorded_disk: the file system that an earlier deploy stored models on.
        clock: the host's time, in seconds since 1970.
        firewall: traces of Hearth's firewall exist.
        metrics: traces of the metrics' service exist.
        outbound: files of an HTTP proxy exist.
        local_name: Hearth installed what announces the host's name.
        virtual_address: traces of a virtual address that Hearth's hosts share exist.
        container_host: facts of the container, if the host is one.
        existing_services: services besides Hearth.
        hardware: hardware, memory and kernel.
        machine: systemd, disk, instructions and the interface to the internet.
        daemon: the content of daemon.json; empty if it is invalid.
        daemon_record: Hearth's own part of it, as recorded.
        in_swarm: the engine is a node of a swarm.
        kernel: `forwards` (IPv4 packets), `selinux`.
        image_store: of the running engine: `containerd`, or `docker` for its own; "" if none runs.
        gpus: only if `ollama_gpu` is set.
    """

    os_release: dict[str, str] = field(default_factory=dict)
    architecture: str = ""
    free_bytes: dict[str, int] = field(default_factory=dict)
    file_system: dict[str, str] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    listeners: tuple[Listener, ...] = ()
    engine_answers: bool = False
    published: Mapping[int, bool] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    not_mounted: tuple[str, ...] = ()
    models_disk: ModelDisk | None = None
    models_file_system: str = ""
    recorded_disk: ModelDisk | None = None
    clock: int = 0
    firewall: bool = False
    metrics: bool = False
    local_name: bool = False
    virtual_address: bool = False
    outbound: bool = False
    container_host: ContainerHost = field(default_factory=ContainerHost)
    existing_services: ExistingServices = field(default_factory=ExistingServices)
    hardware: Hardware = field(default_factory=Hardware)
    machine: Machine = field(default_factory=Machine)
    daemon: Mapping[str, Any] = field(default_factory=dict)
    daemon_record: Mapping[str, Any] = field(default_factory=dict)
    in_swarm: bool = False
    kernel: frozenset[str] = frozenset()
    image_store: str = ""
    gpus: Gpus = field(default_factory=Gpus)


class HostFacts(StateFact[HostFactsState]):
    """All facts for preflight, in one round trip. Works on a host without Hearth, too."""

    @override
    def command(self, paths: tuple[str, ...], models_dir: str, gpu: bool = False) -> str:
        # From the file, for an engine that is down; then from the engine, which knows its defaults and userns-remap.
        root = (
            f'root=$(sed -n \'s/.*"data-root" *: *"\\([^"]*\\)".*/\\1/p\' {DAEMON_JSON} 2>/dev/null | head -n 1); '
            f"root=${{root:-{DOCKER_DIR}}}; images={CONTAINERD_DIR}; engine_info={ENGINE_INFO}\n{_IMAGE_STORE_PROBE}"
        )
        store = f"{models_dir or f'$root/volumes/{MODELS_VOLUME}/_data'}/models/manifests"
        disk = (
            f's="$p"; [ "$s" != {DOCKER_DIR} ] || s="$root"; [ "$s" != {CONTAINERD_DIR} ] || s="$images"; '
            'e="$s"; while [ ! -e "$e" ]; do e=$(dirname "$e"); done; [ "$e" = "$s" ] && x=yes || x=no; '
            'df -k --output=avail,target "$e" | '
            '{ read -r _ && read -r free mount && echo "$p $x $free $mount"; }'
        )
        # After the disk section, which triggers automounts.
        mounts = [
            f"echo @@place; echo {models_dir}; readlink -m {models_dir}",
            "echo @@fstab; cat /etc/fstab 2>/dev/null",
            "echo @@mounts; cat /proc/mounts",
            f"echo @@models_disk; echo {models_dir}; {FINDMNT} {models_dir} 2>/dev/null",
            f"echo @@recorded_disk; cat {MODELS_DISK} 2>/dev/null",
        ]
        return "; ".join(
            [
                root,
                "echo @@clock; date +%s",
                "echo @@os; cat /etc/os-release",
                "echo @@architecture; dpkg --print-architecture 2>/dev/null || uname -m",
                f"echo @@disk; for p in {' '.join(paths)}; do {disk}; done",
                "echo @@listeners; ss -H -ltnp 2>/dev/null",
                "echo @@containers; command -v docker >/dev/null && timeout 40 docker ps "
                f"--format {CONTAINERS_FORMAT} 2>/dev/null && echo @@answers",
                'echo @@image_store; echo "$image_store"',
                f"echo @@engine_config; cat {DAEMON_JSON} 2>/dev/null; echo",
                'echo @@traits; [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 1 ] || echo forwards; '
                "[ ! -e /sys/fs/selinux/enforce ] || echo selinux",
                'echo @@swarm; [ ! -s "$root/swarm/docker-state.json" ] || echo node; '
                f"cat {DAEMON_RECORD} 2>/dev/null; echo",
                f"echo @@images; cat {IMAGES_LOCK} 2>/dev/null",
                f"echo @@outbound; {OUTBOUND_TRACES}",
                f"echo @@local_name; ls {LOCAL_NAME_RECORD} 2>/dev/null",
                f"echo @@virtual_address; {VIRTUAL_ADDRESS_TRACES}",
                f"echo @@firewall; {FIREWALL_TRACES}",
                f"echo @@metrics; {METRICS_TRACES}",
                HARDWARE_SCRIPT,
                f'echo @@models; cd "{store}" 2>/dev/null && {FIND_MANIFESTS}',
                *(mounts if models_dir else []),
                *([GPU_PROBE] if gpu else []),
                _MACHINE_PROBE,
                _LXC_PROBE,
                f"[ -e {IMAGES_LOCK} ] || {{\n{_EXISTING_SERVICES_PROBE}\n}}",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> HostFactsState:
        sections = parse_sections(output)
        # The mount point is last, since it may contain spaces.
        disk = [line.split(maxsplit=3) for line in sections["disk"]]
        container_host = parse_container_host(sections.get("container", []))
        published, others = parse_containers(sections["containers"])
        models_disk = parse_findmnt(sections.get("models_disk", []))
        return HostFactsState(
            os_release=parse_assignments(sections["os"]),
            architecture=next(iter(sections["architecture"]), ""),
            free_bytes={path: int(free) * 1024 for path, _, free, _ in disk},
            file_system={path: mount for path, _, _, mount in disk},
            existing=frozenset(path for path, exists, _, _ in disk if exists == "yes"),
            listeners=parse_listeners(sections["listeners"]),
            engine_answers="answers" in sections,
            published=published,
            images=frozenset(line.split()[0] for line in sections["images"] if line.strip()),
            models=frozenset(name_from_manifest(path) for path in sections["models"]),
            not_mounted=tuple(
                not_mounted(
                    sections.get("place", []),
                    parse_mount_points(sections.get("fstab", [])),
                    parse_mount_points(sections.get("mounts", [])),
                )
            ),
            models_disk=models_disk,
            models_file_system=kind_of_mount(sections.get("mounts", []), models_disk.mount) if models_disk else "",
            recorded_disk=parse_record(sections.get("recorded_disk", [])),
            clock=int(sections["clock"][0]),
            firewall=bool(sections.get("firewall")),
            metrics=bool(sections.get("metrics")),
            local_name=bool(sections.get("local_name")),
            virtual_address=bool(sections.get("virtual_address")),
            outbound=bool(sections.get("outbound")),
            container_host=container_host,
            existing_services=parse_existing_services(sections, others),
            hardware=parse_hardware(sections),
            machine=parse_machine(sections.get("machine", []), bool(container_host.kind)),
            daemon=_parse_daemon(sections.get("engine_config", [])),
            daemon_record=_parse_daemon(line for line in sections.get("swarm", []) if line != "node"),
            in_swarm="node" in sections.get("swarm", []),
            kernel=frozenset(sections.get("traits", [])),
            image_store="".join(sections.get("image_store", [])).strip(),
            gpus=parse_gpus(sections.get("gpu", [])),
        )


def _parse_daemon(lines: Iterable[str]) -> dict[str, Any]:
    try:
        return parse_config("\n".join(lines), DAEMON_JSON)
    except ValueError:
        return {}  # the operation that merges it reports the error
