"""Services on a host before Hearth's first deploy: other containers, web servers, a natively installed Ollama."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hearth.docker.daemon_json import parse_config
from hearth.docker.packages import DOCKER_CE, OLDEST_ENGINE, DockerSource, is_too_old
from hearth.host.ports import Listener, overlap, parse_published
from hearth.paths import DAEMON_JSON, PROJECT
from hearth.runtime.sections import Sections
from hearth.settings.model import Settings
from hearth.settings.model_names import name_from_manifest

# For `docker ps --format`, parsed by parse_containers; quoted for the shell. The label is last: it may be any text.
CONTAINERS_FORMAT = """'{{.Names}}|{{.Ports}}|{{.Label "com.docker.compose.project"}}'"""
# Programs that every host has; the notes omit them.
_USUAL = ("sshd", "systemd", "systemd-resolve", "systemd-resolved", "docker-proxy", "dockerd", "dhclient", "rpcbind")


@dataclass(frozen=True)
class ExistingServices:
    """Services on a host besides Hearth.

    Attributes:
        containers: names of running containers that are not Hearth's → the addresses and TCP ports of
            the host that they publish.
        daemon: the user's settings in daemon.json; empty after Hearth's first deploy, which adds its own.
        packages: of `docker.io`, `docker-ce` and `podman-docker`, those installed.
        compose: Docker's Compose plugin is installed.
        engine: version of the running Docker engine; "" if there is none.
        marks: `ufw` (active), `snap` (Docker as a snap), `service` (an ollama.service runs).
        stores: directories of other Ollamas, installed natively or in containers → the models in them.
        ollamas: containers with an Ollama → the directory of its models on the host.
        running: those of them that run.
    """

    containers: Mapping[str, frozenset[tuple[str, int]]] = field(default_factory=dict)
    daemon: Mapping[str, object] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    compose: bool = False
    engine: str = ""
    marks: frozenset[str] = frozenset()
    stores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ollamas: Mapping[str, str] = field(default_factory=dict)
    running: frozenset[str] = frozenset()

    def container_on(self, address: str, port: int) -> str:
        """The container that publishes a port of the host; "" if none does or it is unknown."""
        holds = (
            name
            for name, published in self.containers.items()
            if any(port == other and overlap(address, its) for its, other in published)
        )
        return next(holds, "")

    def takeover_hint(self, container: str) -> str:
        """The end of a sentence about a container in Hearth's way: how to keep using its models; "" if it has none."""
        if not self.ollamas:
            return ""
        store = self.ollamas.get(container, "")
        models = (
            f". To keep using its models ({_some(self.stores[store])}): ollama_models_dir = {store!r}"
            if store in self.stores
            else ""
        )
        return f"{models}. The steps, also for undoing it: docs/takeover.md"

    def models_hint(self, models_dir: str) -> str:
        """The end of a sentence about a natively installed Ollama: how to keep using its models."""
        stores = [store for store in self.stores if store != models_dir and store not in self.ollamas.values()]
        return "".join(
            f". To keep using its models ({_some(self.stores[one])}): ollama_models_dir = {one!r}" for one in stores
        )


def parse_containers(lines: Iterable[str]) -> tuple[dict[int, bool], dict[str, frozenset[tuple[str, int]]]]:
    """Published ports of Hearth's containers, with whether they are the page's, and of others by name, from lines of
    `name|ports|project`."""
    ours: dict[int, bool] = {}
    others: dict[str, frozenset[tuple[str, int]]] = {}
    for line in lines:
        name, ports, project, *_ = [*line.split("|", 2), "", ""]
        if project == PROJECT:
            # A backend's httpd, which has Ollama's port, has none without TLS.
            ours |= dict.fromkeys((port for _, port in parse_published(ports)), "->80/tcp" in ports)
        elif line.count("|") > 1:  # else the next line of a label
            others[name] = parse_published(ports)
    return ours, others


def parse_existing_services(
    sections: Sections, containers: Mapping[str, frozenset[tuple[str, int]]]
) -> ExistingServices:
    """Parse the sections of `existing_services_probe.sh`; without them, only the containers are known."""
    lines = [line.split() for line in sections.get("existing_services", []) if line.strip()]
    stores: dict[str, list[str]] = {}
    for line in sections.get("stores", []):
        manifest, _, store = line.partition(" ")  # a home directory's name may contain spaces
        stores.setdefault(store, []).append(name_from_manifest(manifest))
    try:
        daemon = parse_config("\n".join(sections.get("daemon", [])), DAEMON_JSON)
    except ValueError:
        daemon = {}  # the operation that merges it reports the error
    marks = frozenset(one[0] for one in lines if len(one) == 1)
    return ExistingServices(
        containers=containers,
        daemon=daemon,
        packages=frozenset(one[1] for one in lines if one[0] == "package"),
        compose="compose" in marks,
        engine=next((one[1] for one in lines if one[0] == "engine" and len(one) == 2), ""),
        marks=marks - {"compose"},
        stores={store: tuple(sorted(models)) for store, models in stores.items()},
        ollamas={one[1]: " ".join(one[3:]) for one in lines if one[0] == "container" and len(one) > 3},
        running=frozenset(one[1] for one in lines if one[0] == "container" and len(one) > 3 and one[2] == "running"),
    )


def existing_service_obstacles(
    host: ExistingServices, settings: Settings, source: DockerSource, listeners: Iterable[Listener]
) -> list[str]:
    """Conflicts with existing services, a sentence each.

    Args:
        source: where Docker would be installed from.
    """
    models_dir = settings.ollama_models_dir
    obstacles = []
    if "snap" in host.marks:
        obstacles.append(
            "Docker is installed as a snap, which can't read /opt/hearth and conflicts with a second engine; "
            "move its containers elsewhere, then run `sudo snap remove docker`"
        )
    if "podman-docker" in host.packages:
        obstacles.append(
            "the command `docker` is Podman's (package podman-docker), which conflicts with Docker's own; run "
            "`sudo apt remove podman-docker` (Podman itself may stay)"
        )
    if (other := _displaced(host, source, settings.docker_source)) and host.containers:
        obstacles.append(
            f"docker_source = {settings.docker_source!r}: {source.packages[0]} would replace {other}, which is "
            f"installed, and stop its running containers ({', '.join(sorted(host.containers))}). Stop them when "
            'convenient and deploy again, or install that Docker\'s Compose plugin and use docker_source = "auto"'
        )
    if _stays(host, source, settings.docker_source) and is_too_old(host.engine):
        theirs = " ".join(DOCKER_CE if "docker-ce" in host.packages else ("docker.io",))
        obstacles.append(
            f"the Docker engine is {host.engine}, but Hearth's containers need {OLDEST_ENGINE} or later (for "
            f"start_interval in health checks); `sudo apt-get update && sudo apt-get install {theirs}` installs the "
            "newest version that apt has for this host"
        )
    native = next((one for one in listeners if one.program == "ollama"), None)
    if native and models_dir and models_dir.endswith("/.ollama"):
        obstacles.append(
            f"ollama_models_dir = {models_dir!r}: the natively installed Ollama (process "
            f"{native.pid}) is still running, and two in one directory delete each other's half-pulled models; "
            "run `sudo systemctl disable --now ollama` (its models stay)"
        )
    obstacles += [
        f"ollama_models_dir = {models_dir!r}: the container {name} is still running with these models, and two Ollamas "
        "in one directory delete each other's half-pulled models; stop it (docs/takeover.md; its models stay)"
        for name in sorted(host.running)
        if host.ollamas[name] == models_dir
    ]
    return obstacles


def _stays(host: ExistingServices, source: DockerSource, choice: str) -> bool:
    """Whether an installed Docker is kept."""
    return _suffices(host, choice) or source.packages[0] in host.packages


def _suffices(host: ExistingServices, choice: str) -> bool:
    """Whether nothing needs to be installed: "auto" accepts any Docker with a Compose plugin."""
    return choice == "auto" and host.compose


def _displaced(host: ExistingServices, source: DockerSource, choice: str) -> str:
    """The package of another Docker that apt would remove for the configured one; "" if none."""
    if _suffices(host, choice):
        return ""
    other = "docker.io" if set(DOCKER_CE) & set(source.packages) else "docker-ce"
    return other if other in host.packages else ""


def existing_service_notes(
    host: ExistingServices, live_restore: bool, models_dir: str, listeners: Iterable[Listener]
) -> list[str]:
    """Existing services, which stay unchanged: a line each. For a host before Hearth's first deploy."""
    notes = []
    if host.containers:
        notes.append(f"other containers, which keep running: {', '.join(sorted(host.containers))}")
    if host.daemon:
        keys = ", ".join(sorted(host.daemon))
        notes.append(f"{DAEMON_JSON} with your own settings ({keys}), which stay; Hearth adds its own")
    if host.containers and host.daemon.get("live-restore", live_restore) is not True:
        notes.append(
            "live-restore is off, so those containers stop while the engine restarts with Hearth's settings, and only "
            "those with a restart policy start again"
        )
    if "ufw" in host.marks:
        notes.append(
            "ufw, whose rules stay; Docker's published ports, including Hearth's, bypass them: use "
            "firewall_allowed_networks (docs/firewall.md)"
        )
    programs: dict[str, set[int]] = {}
    for one in listeners:
        if one.program and one.program not in _USUAL and not one.address.startswith("127."):
            programs.setdefault(one.program, set()).add(one.port)
    if programs:
        what = ", ".join(f"{name} on {', '.join(map(str, sorted(ports)))}" for name, ports in sorted(programs.items()))
        notes.append(f"programs that listen on the network, which are not touched: {what}")
    containers = {store: name for name, store in host.ollamas.items()}
    for store, models in host.stores.items():
        if store == models_dir:
            continue
        kept = f"in {store} ({_some(models)}): ollama_models_dir = {store!r} uses them without another download"
        if store in containers:
            notes.append(f"the container {containers[store]} has models {kept} (docs/takeover.md)")
        else:
            notes.append(f"a natively installed Ollama has models {kept}")
    if "service" in host.marks:
        notes.append("ollama.service, which runs in addition to Hearth's Ollama and needs its own memory")
    return notes


def _some(names: tuple[str, ...]) -> str:
    """At most four names, and the number of the others."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
