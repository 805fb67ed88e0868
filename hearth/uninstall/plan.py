"""What an uninstall removes from a host, and what it keeps and why. Pure rules."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from hearth.boot.memory_cgroup import ENABLE_OPTION
from hearth.docker.daemon_json import Config, merge_config, parse_config
from hearth.footprint.facts import FootprintState, Neighbour
from hearth.footprint.owned_files import OWN_DIRECTORIES, our_files, own_names
from hearth.paths import (
    BOOT_LINE,
    DAEMON_JSON,
    DAEMON_RECORD,
    GPU_TOOLKIT_RECORD,
    KEEPALIVED_RECORD,
    LOCAL_NAME_RECORD,
    MODELS_VOLUME,
    PROJECT,
    RELEASES,
    ROOT,
    VIRTUAL_ADDRESS_CONF,
    below_root,
)

_RELEASES = below_root(RELEASES)
# Ollama's files in its directory: the models, and others.
STORE_ENTRIES = ("models/blobs", "models/manifests", "id_ed25519", "id_ed25519.pub", "history")


@dataclass(frozen=True)
class Removal:
    """What is removed, and what is kept.

    Attributes:
        containers: ids and names.
        networks: names.
        firewall: remove Hearth's firewall.
        outbound: remove the configuration of the HTTP proxy.
        metrics: remove the metrics' service.
        local_name: remove Avahi, which Hearth installed.
        virtual_address: stop sharing the virtual address.
        keepalived: with the package, which Hearth installed.
        gpu_toolkit: remove NVIDIA's container toolkit, which Hearth installed.
        images: references.
        volume: remove the models' volume.
        store: directory whose models are removed; "" for none.
        files, directories: below `/opt/hearth`; directories with the deepest first.
        root: remove `/opt/hearth` itself.
        boot: remove Hearth's option from a Raspberry Pi's kernel command line.
        config: `daemon.json` without Hearth's part; None if it stays unchanged.
        kept: messages about what is kept, with the reason.
    """

    containers: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()
    firewall: bool = False
    outbound: bool = False
    metrics: bool = False
    local_name: bool = False
    virtual_address: bool = False
    keepalived: bool = False
    gpu_toolkit: bool = False
    images: tuple[str, ...] = ()
    volume: bool = False
    store: str = ""
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    root: bool = False
    boot: bool = False
    config: Config | None = None
    kept: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What is removed, one line each."""
        return [
            *(f"container {name}" for _, name in self.containers),
            *(f"network {name}" for name in self.networks),
            *(["the firewall (nftables itself stays)"] if self.firewall else []),
            *(["the configuration of the HTTP proxy; the Docker engine restarts"] if self.outbound else []),
            *(["the metrics' service (mtail, jq, curl and openssl stay)"] if self.metrics else []),
            *(["the package avahi-daemon, which announces the host's name"] if self.local_name else []),
            *(["the virtual address (other hosts that share it keep it)"] if self.virtual_address else []),
            *(["the package keepalived, which held it"] if self.keepalived else []),
            *(["NVIDIA's container toolkit, and its apt repository"] if self.gpu_toolkit else []),
            *(f"image {reference}" for reference in self.images),
            *([f"volume {MODELS_VOLUME}, with all models"] if self.volume else []),
            *([f"all models in {self.store}"] if self.store else []),
            *([f"{ENABLE_OPTION} in {BOOT_LINE}, effective after the next reboot"] if self.boot else []),
            *([f"Hearth's part of {DAEMON_JSON}"] if self.config is not None else []),
            *([f"{len(self.files)} files in {ROOT}"] if self.files else []),
            *([f"the directory {ROOT}"] if self.root else []),
        ]


def plan_removal(host: FootprintState, files: frozenset[str], models_dir: str, delete_models: bool) -> Removal:
    """What an uninstall removes from a host.

    Args:
        files: paths below `/opt/hearth` that this version of Hearth writes, in addition to its records.
        models_dir: the setting: "" for the volume.
        delete_models: also remove the models.

    Raises:
        ValueError: `daemon.json` is unreadable, so nothing can be removed from it.
    """
    ours, others = _split(host)
    kept: list[str] = []
    removed, directories, root = _files(host, files, kept)
    return Removal(
        containers=tuple((one.id, one.name) for one in ours),
        networks=_networks(host, others, kept),
        firewall=host.firewall,
        outbound=host.outbound,
        metrics=host.metrics,
        local_name=below_root(LOCAL_NAME_RECORD) in host.files,
        virtual_address=any(below_root(path) in host.files for path in (VIRTUAL_ADDRESS_CONF, KEEPALIVED_RECORD)),
        keepalived=below_root(KEEPALIVED_RECORD) in host.files,
        gpu_toolkit=below_root(GPU_TOOLKIT_RECORD) in host.files,
        images=_images(host, others, kept),
        volume=_volume(host, others, models_dir, delete_models, kept),
        store=_store(host, models_dir, delete_models, kept),
        boot=host.boot,
        config=_config(host),
        files=removed,
        directories=directories,
        root=root,
        kept=tuple(kept),
    )


def _split(host: FootprintState) -> tuple[list[Neighbour], list[Neighbour]]:
    """Hearth's containers, and all others: another project may also be called hearth."""
    ours = [one for one in host.containers if one.project == PROJECT and one.directory == ROOT]
    return ours, [one for one in host.containers if one not in ours]


def _networks(host: FootprintState, others: list[Neighbour], kept: list[str]) -> tuple[str, ...]:
    remove = []
    for name, owned in sorted(host.networks.items()):
        guests = sorted(one.name for one in others if name in one.networks)
        if owned.project != PROJECT:
            kept.append(f"network {name}: not created by Hearth")
        elif guests:
            kept.append(f"network {name}: used by {', '.join(guests)}; remove it later with `docker network rm {name}`")
        else:
            remove.append(name)
    return tuple(remove)


def _images(host: FootprintState, others: list[Neighbour], kept: list[str]) -> tuple[str, ...]:
    remove = []
    for reference, pulled in sorted(host.lock.items()):
        if reference not in host.images:
            continue
        now = host.images[reference].id
        users = sorted(one.name for one in others if one.image == now)
        if host.found.get(reference) == now:
            kept.append(f"image {reference}: existed before Hearth")
        elif now != pulled:
            kept.append(f"image {reference}: not the image that Hearth pulled")
        elif users:
            kept.append(f"image {reference}: used by {', '.join(users)}")
        else:
            remove.append(reference)
    return tuple(remove)


def _volume(
    host: FootprintState, others: list[Neighbour], models_dir: str, delete_models: bool, kept: list[str]
) -> bool:
    if host.volume is None:
        return False
    if users := sorted(one.name for one in others if MODELS_VOLUME in one.volumes):
        kept.append(f"volume {MODELS_VOLUME}: used by {', '.join(users)}")
        return False
    if delete_models and not models_dir:
        return True
    kept.append(
        f"models in the volume {MODELS_VOLUME} ({host.volume.mount}): "
        f"remove them with `hearth uninstall --delete-models`, or with `docker volume rm {MODELS_VOLUME}` on the host"
    )
    return False


def _store(host: FootprintState, models_dir: str, delete_models: bool, kept: list[str]) -> str:
    if not models_dir or not host.store_files:
        return ""
    if delete_models:
        return models_dir
    kept.append(
        f"models in {host.store}: remove them with `hearth uninstall --delete-models`, or with `rm -r {host.store}` "
        "on the host"
    )
    return ""


def _config(host: FootprintState) -> Config | None:
    """`daemon.json` without Hearth's part; None if it has none."""
    recorded = parse_config(host.record, DAEMON_RECORD)
    if not recorded:
        return None
    current = parse_config(host.config, DAEMON_JSON)
    merged, _ = merge_config(current, recorded, {})
    return merged if merged != current or host.pending else None


def _files(
    host: FootprintState, files: frozenset[str], kept: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Files and directories below `/opt/hearth` to remove, and whether to remove it, too."""
    remove = our_files(host.files, files)
    strangers = host.files - remove
    homes = _parents(own_names(host.files, files) | remove) | {_RELEASES}
    # An empty directory created by a user is the user's, too.
    theirs = {
        path for path in host.directories if path not in homes and not path.startswith((*OWN_DIRECTORIES, _RELEASES))
    }
    above = _parents(strangers | theirs)
    directories = sorted(host.directories - above - theirs, key=lambda path: (-path.count("/"), path))
    kept += [f"{ROOT}/{path}: not created by Hearth" for path in sorted(strangers | (theirs - above))]
    return tuple(sorted(remove)), tuple(directories), host.has_root and not strangers and not theirs


def _parents(paths: Set[str]) -> set[str]:
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents}
