"""Preflight rules: evaluate a host's facts. Nothing here connects to a host."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hearth.docker.daemon_keys import daemon_obstacles, daemon_warnings, swarm_obstacles
from hearth.docker.packages import DOCKER_CE, docker_source
from hearth.gpu.devices import gpu_memory, gpu_obstacles
from hearth.host.platform import identify, untested
from hearth.models.disk import disk_obstacles, kind_obstacles
from hearth.models.required_ollama import version_obstacles
from hearth.models.sizes import GB, download_size
from hearth.paths import CONTAINERD_DIR, DOCKER_DIR
from hearth.preflight.existing_services import existing_service_notes, existing_service_obstacles
from hearth.preflight.facts import HostFactsState
from hearth.preflight.image_releases import image_warnings, known_releases
from hearth.preflight.lxc import container_notes, container_obstacles
from hearth.preflight.machine import machine_obstacles, machine_warnings
from hearth.preflight.memory import gpu_memory_warnings, memory_obstacles, memory_warnings
from hearth.preflight.raspberry_pi import board_warnings, userland_obstacles
from hearth.settings.model import Settings
from hearth.settings.model_names import missing_models

# Seconds. A wrong time zone is not a wrong clock, and certificates and package lists are valid for days.
CLOCK_TOLERANCE = 86400
# GB.
ALMOST_FULL = 2.0


def paths_to_check(settings: Settings) -> tuple[str, ...]:
    """Paths whose file systems need free space."""
    models = (settings.ollama_models_dir,) if settings.ollama_models_dir else ()
    return (DOCKER_DIR, CONTAINERD_DIR, *models)


def images_dir(settings: Settings, host: HostFactsState) -> str:
    """Where the images are, or will be: DOCKER_DIR for Docker's data-root, CONTAINERD_DIR for containerd's root."""
    if host.image_store:
        return CONTAINERD_DIR if host.image_store == "containerd" else DOCKER_DIR
    features = host.daemon.get("features")
    chosen = features.get("containerd-snapshotter") if isinstance(features, dict) else None
    if isinstance(chosen, bool):
        return CONTAINERD_DIR if chosen else DOCKER_DIR
    # An engine that is down, or that uses one of Docker's own storage drivers in any case.
    if DOCKER_DIR in host.existing or host.daemon.get("storage-driver") or host.daemon.get("userns-remap"):
        return DOCKER_DIR
    try:
        platform = identify(host.os_release, host.architecture)
        source = docker_source(platform, settings.docker_source, settings.docker_apt_url)
    except ValueError:
        return DOCKER_DIR  # reported as a failure
    # Docker's own packages are version 29 or later, whose new installations use containerd's image store.
    return CONTAINERD_DIR if set(DOCKER_CE) & set(source.packages) else DOCKER_DIR


def find_obstacles(settings: Settings, host: HostFactsState) -> list[str]:
    """All preflight failures, one sentence each with the fix; empty if there is none."""
    return [
        *container_obstacles(host.container_host, bool(host.published), images_dir(settings, host)),
        *machine_obstacles(host.machine, host.hardware),
        *_platform(settings, host),
        *daemon_obstacles(host.daemon, settings, host.kernel),
        *(swarm_obstacles(dict(host.daemon), dict(host.daemon_record), settings) if host.in_swarm else []),
        *_ports(settings, host),
        *_models_dir(settings, host),
        *version_obstacles(settings.pulled_models, host.models, settings.ollama_model_registry, settings.ollama_image),
        *_disk(settings, host),
        *memory_obstacles(settings, host.hardware, gpu_memory(settings, host.gpus)),
    ]


def find_notes(settings: Settings, host: HostFactsState) -> list[str]:
    """Notes on existing services before Hearth's first deploy, a line each."""
    if host.images or host.published:
        return []
    others = existing_service_notes(
        host.existing_services, settings.docker_live_restore, settings.ollama_models_dir, host.listeners
    )
    return [*container_notes(host.container_host), *others]


def find_warnings(settings: Settings, host: HostFactsState) -> list[str]:
    """Preflight warnings, a sentence each."""
    return [
        *_untested(host),
        *daemon_warnings(host.daemon),
        *machine_warnings(host.machine, host.hardware, settings.docker_mtu),
        *memory_warnings(settings, host.hardware, gpu_memory(settings, host.gpus)),
        *gpu_memory_warnings(settings, gpu_memory(settings, host.gpus)),
        *_open_metrics(settings),
    ]


def find_upkeep_warnings(settings: Settings, host: HostFactsState, today: date) -> list[str]:
    """Warnings about what changes with time, a sentence each. `hearth drift` and `hearth watch` repeat these."""
    return [
        *board_warnings(host.hardware),
        *_filling_disks(settings, host),
        *image_warnings(settings, known_releases(), today),
    ]


def _filling_disks(settings: Settings, host: HostFactsState) -> list[str]:
    free = {host.file_system[path]: host.free_bytes[path] for path in paths_to_check(settings) if path in host.existing}
    return [
        f"the disk at {mount} has only {bytes_ / GB:.1f} GB free; on a full disk, Docker and Ollama fail. "
        "Free up space: `ollama_prune_models = True` removes models that are not listed"
        for mount, bytes_ in free.items()
        if bytes_ < ALMOST_FULL * GB
    ]


def _open_metrics(settings: Settings) -> list[str]:
    if settings.metrics_access != "anyone":
        return []
    return [
        f'metrics_access = "anyone": whoever reaches port {settings.proxy_port} can read the names or addresses of all '
        'callers at /metrics; use "api_keys" or "networks" unless you trust everyone there'
    ]


def clock_obstacles(clock: int, now: float, in_container: bool = False) -> list[str]:
    """Check the host's clock.

    Args:
        clock: the host's time, in seconds since 1970.
        now: the control machine's time at the same moment.
        in_container: the host is a container, which uses the clock of its node.
    """
    if abs(clock - now) <= CLOCK_TOLERANCE:
        return []
    there, here = (f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC" for time in (clock, now))
    fix = (
        "A container uses the clock of the machine that it runs on; set that one (`timedatectl set-ntp true` on the "
        "Proxmox node)"
        if in_container
        else "If the host's clock is wrong (a Pi has no battery for it, and sets it from the network), run "
        "`sudo timedatectl set-ntp true` there and wait a minute, or set it: "
        f"`sudo date -u -s '@{now:.0f}'`"
    )
    return [
        f"the host's clock shows {there}, this computer's {here}; with a wrong clock, apt rejects package lists, and "
        f"TLS rejects certificates as expired or not yet valid. {fix}"
    ]


def _platform(settings: Settings, host: HostFactsState) -> list[str]:
    try:
        platform = identify(host.os_release, host.architecture)
        source = docker_source(platform, settings.docker_source, settings.docker_apt_url)
    except ValueError as error:
        return [str(error) + userland_obstacles(host.hardware, host.architecture)]
    return [
        *existing_service_obstacles(host.existing_services, settings, source, host.listeners),
        *gpu_obstacles(settings, host.gpus, host.container_host.kind, platform),
    ]


def _untested(host: HostFactsState) -> list[str]:
    try:
        return untested(identify(host.os_release, host.architecture))
    except ValueError:
        return []  # reported as a failure


def _ports(settings: Settings, host: HostFactsState) -> list[str]:
    obstacles = []
    names = {settings.proxy_port: f"proxy_port = {settings.proxy_port}"} if settings.serves_page else {}
    if settings.serves_page and settings.proxy_tls != "off":
        names[settings.proxy_tls_port] = f"proxy_tls_port = {settings.proxy_tls_port}"
    for address, port in sorted(settings.published_ports):
        if port in host.published:
            continue  # held by Hearth's own containers
        # Docker first: without its proxy program ("userland-proxy": false), the engine itself holds the port, or no
        # listener exists.
        container = host.existing_services.container_on(address, port)
        holder = next((one for one in host.listeners if one.collides(address, port)), None)
        is_dockers = holder is not None and holder.program in ("docker-proxy", "dockerd")
        if not container and (holder is None or (is_dockers and not host.engine_answers)):
            continue  # free, or a container's: only a running engine can report whose
        if container:
            who = f"the container {container}"
            fix = "remove it, or set another port" + host.existing_services.takeover_hint(container)
        elif is_dockers:
            who = "a container"
            fix = "`sudo docker ps` on the host shows which container; remove it, or set another port"
        elif holder is not None and holder.program == "ollama":
            who = f"ollama (process {holder.pid})"
            fix = (
                "this is a natively installed Ollama; stop it with "
                "`sudo systemctl disable --now ollama`, or set ollama_publish to another port"
                + host.existing_services.models_hint(settings.ollama_models_dir)
            )
        else:
            who = f"{holder.program} (process {holder.pid})" if holder and holder.program else "another program"
            fix = "stop it, or set another port"
        setting = names.get(port, f"ollama_publish = {settings.ollama_publish!r}")
        obstacles.append(f"{setting}: the port is held by {who}; {fix}")
    return obstacles


def _models_dir(settings: Settings, host: HostFactsState) -> list[str]:
    directory = settings.ollama_models_dir
    if not directory:
        return []
    obstacles = disk_obstacles(directory, host.not_mounted, host.models_disk, host.recorded_disk)
    missing = missing_models((*settings.pulled_models, *settings.file_models), host.models)
    sizes = {model: download_size(model, settings.ollama_model_sizes_gb) for model in missing}
    obstacles += kind_obstacles(directory, host.models_file_system, sizes)
    if obstacles or directory in host.existing:
        return obstacles
    return [
        f"ollama_models_dir = {directory!r}: there is no such directory on the host; mount the disk, "
        'create the directory, or use "" for Docker\'s own storage'
    ]


def _disk(settings: Settings, host: HostFactsState) -> list[str]:
    """Check the disk space needed per file system; the message shows the calculation."""
    needed: dict[str, list[tuple[str, float]]] = {}
    free: dict[str, int] = {}
    for path in paths_to_check(settings):
        free[host.file_system.get(path, path)] = host.free_bytes.get(path, 0)
    images, docker = (host.file_system.get(one, one) for one in (images_dir(settings, host), DOCKER_DIR))
    models = host.file_system.get(settings.ollama_models_dir, docker)
    if not set(settings.images.values()) <= host.images:
        needed.setdefault(images, []).append(("images", settings.docker_images_gb))
    for model in missing_models((*settings.pulled_models, *settings.file_models), host.models):
        size = download_size(model, settings.ollama_model_sizes_gb)
        needed.setdefault(models, []).append((model, size))
    obstacles = []
    for mount, parts in needed.items():
        total = sum(size for _, size in parts)
        if total * GB > free[mount]:
            sum_of = " + ".join(f"{name} {size:.1f}" for name, size in parts)
            obstacles.append(
                f"the disk at {mount} has {free[mount] / GB:.1f} GB free, and {total:.1f} GB are needed ({sum_of}); "
                "free up space, use smaller models, or store models on another disk with ollama_models_dir. "
                "If the estimate is wrong, set docker_images_gb or ollama_model_sizes_gb"
            )
    return obstacles
