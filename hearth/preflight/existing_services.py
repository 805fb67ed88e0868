"""Who lives on a host already, before Hearth comes: other containers, web servers, an Ollama of the host's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hearth.docker.daemon_json import parse_config
from hearth.docker.packages import DOCKER_CE, OLDEST_ENGINE, DockerSource, is_too_old
from hearth.host.ports import Listener, parse_published
from hearth.models.names import name_from_manifest
from hearth.paths import DAEMON_JSON, PROJECT
from hearth.runtime.sections import Sections
from hearth.settings.model import Settings

# For `docker ps --format`, as parse_containers reads it; quoted for the shell.
CONTAINERS_FORMAT = """'{{.Label "com.docker.compose.project"}}|{{.Names}}|{{.Ports}}'"""
# What every host has, and nobody would miss in a list of what was found.
_USUAL = ("sshd", "systemd", "systemd-resolve", "systemd-resolved", "docker-proxy", "dhclient", "rpcbind")


@dataclass(frozen=True)
class ExistingServices:
    """What lives on a host beside Hearth.

    Attributes:
        containers: names of running containers that are not Hearth's → the ports on the host that they hold.
        daemon: what a person wrote into daemon.json; empty once Hearth has been there, whose words are among it then.
        packages: of `docker.io`, `docker-ce` and `podman-docker`, those installed.
        compose: Docker's Compose plugin is there.
        engine: version of the Docker engine that answers; "" if none does.
        marks: `ufw` (active), `swarm`, `snap` (Docker as a snap), `service` (an ollama.service runs).
        stores: directories of Ollamas installed on the host → the models in them.
    """

    containers: Mapping[str, frozenset[int]] = field(default_factory=dict)
    daemon: Mapping[str, object] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    compose: bool = False
    engine: str = ""
    marks: frozenset[str] = frozenset()
    stores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def holder(self, port: int) -> str:
        """The container that holds a port of the host; "" if none does, or it can't be known."""
        return next((name for name, ports in self.containers.items() if port in ports), "")

    def adopting(self, models_dir: str) -> str:
        """The end of a sentence about the host's own Ollama: how to go on using its models."""
        stores = [store for store in self.stores if store != models_dir]
        return "".join(
            f". Its models ({_some(self.stores[one])}) can stay in use: ollama_models_dir = {one!r}" for one in stores
        )


def parse_containers(lines: Iterable[str]) -> tuple[frozenset[int], dict[str, frozenset[int]]]:
    """Ports of Hearth's containers, and other containers with theirs, from lines of `project|name|ports`."""
    ours: set[int] = set()
    others: dict[str, frozenset[int]] = {}
    for line in lines:
        project, _, rest = line.partition("|")
        name, _, ports = rest.partition("|")
        if project == PROJECT:
            ours |= parse_published(ports)
        elif name:
            others[name] = parse_published(ports)
    return frozenset(ours), others


def parse_existing_services(sections: Sections, containers: Mapping[str, frozenset[int]]) -> ExistingServices:
    """From the sections of `existing_services_probe.sh`; where it printed none, of the containers alone."""
    lines = [line.split() for line in sections.get("neighbours", [])]
    stores: dict[str, list[str]] = {}
    for one in lines:
        if one[:1] == ["model"] and len(one) == 3:
            stores.setdefault(one[1], []).append(name_from_manifest(one[2]))
    try:
        daemon = parse_config("\n".join(sections.get("daemon", [])), DAEMON_JSON)
    except ValueError:
        daemon = {}  # the operation that merges it refuses it, and says why
    marks = frozenset(one[0] for one in lines if len(one) == 1)
    return ExistingServices(
        containers=containers,
        daemon=daemon,
        packages=frozenset(one[1] for one in lines if one[0] == "package"),
        compose="compose" in marks,
        engine=next((one[1] for one in lines if one[0] == "engine" and len(one) == 2), ""),
        marks=marks - {"compose"},
        stores={store: tuple(sorted(models)) for store, models in stores.items()},
    )


def existing_service_obstacles(
    host: ExistingServices, settings: Settings, source: DockerSource, listeners: Iterable[Listener]
) -> list[str]:
    """What would be harmed, or would do harm: a sentence each.

    Args:
        source: where Docker would come from.
    """
    models_dir = settings.ollama_models_dir
    obstacles = []
    if "snap" in host.marks:
        obstacles.append(
            "Docker is installed as a snap, which can't read /opt/hearth, and a second engine would be in its way; "
            "move what runs there, and `sudo snap remove docker`"
        )
    if "podman-docker" in host.packages:
        obstacles.append(
            "the command `docker` is Podman's (package podman-docker), which would have to give way to Docker's own; "
            "`sudo apt remove podman-docker` (Podman itself may stay)"
        )
    if "swarm" in host.marks and settings.docker_live_restore and host.daemon.get("live-restore") is not False:
        obstacles.append(
            "Docker is in swarm mode, in which its engine refuses to start with docker_live_restore = True; "
            "docker_live_restore = False would be right"
        )
    if (other := _displaced(host, source, settings.docker_source)) and host.containers:
        obstacles.append(
            f"docker_source = {settings.docker_source!r}: {source.packages[0]} would take the place of {other}, which "
            f"is there, and stop the containers that run on it ({', '.join(sorted(host.containers))}). Stop them when "
            'it suits, and deploy again; or give that Docker its Compose plugin, and leave docker_source at "auto"'
        )
    if _stays(host, source, settings.docker_source) and is_too_old(host.engine):
        theirs = " ".join(DOCKER_CE if "docker-ce" in host.packages else ("docker.io",))
        obstacles.append(
            f"the Docker engine is {host.engine}, and Hearth's containers need {OLDEST_ENGINE} or later, which knows "
            f"the start_interval of their health checks; `sudo apt-get update && sudo apt-get install {theirs}` brings "
            "the newest that apt has for this host"
        )
    native = next((one for one in listeners if one.program == "ollama"), None)
    if native and models_dir and models_dir.endswith("/.ollama"):
        obstacles.append(
            f"ollama_models_dir = {models_dir!r}: the Ollama that is installed on the host itself (process "
            f"{native.pid}) still runs, and two of them in one directory delete each other's half-pulled models; "
            "`sudo systemctl disable --now ollama` (its models stay)"
        )
    return obstacles


def _stays(host: ExistingServices, source: DockerSource, choice: str) -> bool:
    """Whether a Docker that is there is kept as it is."""
    return _suffices(host, choice) or source.packages[0] in host.packages


def _suffices(host: ExistingServices, choice: str) -> bool:
    """Whether nothing is installed, since any Docker with a Compose plugin is right."""
    return choice == "auto" and host.compose


def _displaced(host: ExistingServices, source: DockerSource, choice: str) -> str:
    """The package of another Docker that apt would remove for the wanted one; "" if none."""
    if _suffices(host, choice):
        return ""
    other = "docker.io" if set(DOCKER_CE) & set(source.packages) else "docker-ce"
    return other if other in host.packages else ""


def existing_service_notes(
    host: ExistingServices, wants_live_restore: bool, models_dir: str, listeners: Iterable[Listener]
) -> list[str]:
    """What was found and stays as it is: a line each. For a host that Hearth has not been on yet."""
    notes = []
    if host.containers:
        notes.append(f"other containers, which go on: {', '.join(sorted(host.containers))}")
    if host.daemon:
        keys = ", ".join(sorted(host.daemon))
        notes.append(f"{DAEMON_JSON} with settings of your own ({keys}), which stay; Hearth adds its own beside them")
    if host.containers and host.daemon.get("live-restore", wants_live_restore) is not True:
        notes.append(
            "live-restore is off, so those containers stop while the engine takes over what is added to its "
            "configuration, and only those with a restart policy come back"
        )
    if "ufw" in host.marks:
        notes.append(
            "ufw, whose rules stay; ports that Docker publishes go past them, Hearth's too: firewall_allowed_networks "
            "limits those (docs/firewall.md)"
        )
    programs: dict[str, set[int]] = {}
    for one in listeners:
        if one.program and one.program not in _USUAL and not one.address.startswith("127."):
            programs.setdefault(one.program, set()).add(one.port)
    if programs:
        what = ", ".join(f"{name} on {', '.join(map(str, sorted(ports)))}" for name, ports in sorted(programs.items()))
        notes.append(f"programs that others reach, which are left alone: {what}")
    notes += [
        f"an Ollama of the host's own has models in {store} ({_some(models)}): ollama_models_dir = {store!r} uses "
        "these, instead of fetching them again"
        for store, models in host.stores.items()
        if store != models_dir
    ]
    if "service" in host.marks:
        notes.append("ollama.service, which runs beside Hearth's and needs memory of its own")
    return notes


def _some(names: tuple[str, ...]) -> str:
    """At most four of them."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
