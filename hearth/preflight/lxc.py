"""Hosts that are containers (Proxmox's LXC): what they allow Docker to do, and which setting to change otherwise."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hearth.paths import CONTAINERD_DIR, DOCKER_DIR

# File systems on which Docker does not use overlay2, by their names in `stat -f` (moby, overlay2.Init).
_WITHOUT_OVERLAY2 = ("aufs", "ecryptfs", "nfs", "overlayfs", "zfs")
_ALL_IDS = 2**32 - 1
# Errors of mount and unshare that mean the kernel refused. Other errors prove nothing.
_REFUSED = re.compile(
    "permission denied|not permitted|not supported|wrong fs type|unknown filesystem type", re.IGNORECASE
)
_FEATURES = "`pct set ID -features nesting=1,keyctl=1`, then `pct reboot ID`"
_NODE = "on the Proxmox node (ID is the container's number there)"
_ENABLE_NESTING = f"Enable nesting {_NODE}: {_FEATURES}"


@dataclass(frozen=True)
class ContainerHost:
    """Results of the probes in a container.

    Attributes:
        kind: from systemd-detect-virt (`lxc`, `docker`, …); "" on a machine, where nothing else is probed.
        privileged: its root is root on the machine that it runs on.
        nesting: LXC allows nested containers.
        proc: error of `mount` for another /proc; "" if it succeeded.
        has_keyctl: the system call is available.
        sysctl: errno of opening a sysctl as runc does; 0 for none.
        storage: file system of /var/lib/docker, from `stat -f`; "" if an engine is installed.
        overlay: error of `mount` for an overlay on it; "" if it succeeded.
        images_storage, images_overlay: the same of /var/lib/containerd.
    """

    kind: str = ""
    privileged: bool = False
    nesting: bool = False
    proc: str = ""
    has_keyctl: bool = True
    sysctl: int = 0
    storage: str = ""
    overlay: str = ""
    images_storage: str = ""
    images_overlay: str = ""

    @property
    def is_lxc(self) -> bool:
        return self.kind == "lxc"


def parse_container_host(lines: Iterable[str]) -> ContainerHost:
    """Parse `hearth/preflight/lxc_probe.sh`'s lines of name and result. A missing result is not a failure."""
    found = {name: value for name, _, value in (line.partition(" ") for line in lines)}
    if not found.get("kind"):
        return ContainerHost()
    uids = [int(number) for number in found.get("uids", "").split()]
    errors = {name: found.get(name, "") for name in ("proc", "overlay", "images_overlay")}
    refused = {name: words if _REFUSED.search(words) else "" for name, words in errors.items()}
    return ContainerHost(
        kind=found["kind"],
        privileged=uids == [0, 0, _ALL_IDS],
        nesting="nesting" in found,
        proc=refused["proc"],
        has_keyctl=found.get("keyctl") != str(errno.ENOSYS),
        sysctl=int(found.get("sysctl", 0)),
        storage=found.get("storage", ""),
        overlay=refused["overlay"],
        images_storage=found.get("images_storage", ""),
        images_overlay=refused["images_overlay"],
    )


def container_obstacles(host: ContainerHost, is_running: bool, images: str = DOCKER_DIR) -> list[str]:
    """Reasons why Docker can't run containers in this one: a sentence each, with the setting to change.

    Args:
        is_running: Hearth's containers run there, so Docker works with its current runc despite these results.
        images: where Docker will store images: DOCKER_DIR or CONTAINERD_DIR.
    """
    obstacles = []
    if host.proc and not is_running:
        obstacles.append(
            f"this container ({host.kind}) is not allowed to mount /proc ({host.proc}), which Docker does for every "
            f"container. {_proc_fix(host)}"
        )
    elif host.sysctl == errno.EACCES and not is_running:
        obstacles.append(_apparmor(host))
    if images == CONTAINERD_DIR:
        # containerd has no list of file systems: it mounts an overlay, too.
        if host.images_overlay:
            obstacles.append(_storage(host, images, f"{host.images_storage}; {host.images_overlay}"))
    elif host.storage in _WITHOUT_OVERLAY2:
        obstacles.append(_storage(host, images, host.storage))
    elif host.overlay:
        obstacles.append(_storage(host, images, f"{host.storage}; {host.overlay}"))
    return obstacles


def _proc_fix(host: ContainerHost) -> str:
    if not host.is_lxc:
        return "Use a machine, or an LXC container with nesting"
    if host.nesting:
        return (
            "Nesting is on, so something else blocks it, such as a profile in /etc/pve/lxc/ID.conf "
            "(`lxc.apparmor.profile`) on the Proxmox node; `journalctl -k | grep DENIED` there shows it"
        )
    return _ENABLE_NESTING


def _apparmor(host: ContainerHost) -> str:
    if not host.is_lxc:
        fix = "Update the software that runs this container"
    elif not host.nesting:
        # The AppArmor profile of a container without nesting blocks it on every node.
        fix = f"{_ENABLE_NESTING}. If it is still blocked, update the node"
    else:
        fix = f"Update to lxc-pve 6.0.5-2 or later {_NODE}: `apt update && apt full-upgrade`, then `pct reboot ID`"
    return (
        "AppArmor on the machine that this container runs on prevents current Docker versions from setting "
        "net.ipv4.ip_unprivileged_port_start, so no container would start (opencontainers/runc#4968, "
        f"containerd#12484). {fix}"
    )


def _storage(host: ContainerHost, images: str, reason: str) -> str:
    fix = (
        f"Give Docker its own volume on a storage with ext4 or xfs (LVM, or a directory) {_NODE}: "
        f"`pct set ID -mp0 STORAGE:32,mp={images}`, then `pct reboot ID`"
        if host.is_lxc
        else f"Put {images} on ext4 or xfs"
    )
    return (
        f"Docker's overlay storage does not work on the file system of {images} ({reason}), and without it "
        f"every image layer is a full copy. {fix}"
    )


def container_notes(host: ContainerHost) -> list[str]:
    """Notes on a container that can be deployed to: a line each, none on a machine."""
    if not host.kind:
        return []
    what = "LXC container" if host.is_lxc else f"container ({host.kind})"
    notes = [
        f"{'a privileged' if host.privileged else 'an unprivileged'} {what}: its clock, swap and kernel modules are "
        "those of the machine that it runs on, and are set there"
    ]
    if host.privileged and host.is_lxc:
        notes.append(
            "root in a privileged container is root on the Proxmox node; an unprivileged one is enough for "
            "Hearth (`pct create … -unprivileged 1`)"
        )
    if not host.has_keyctl:
        notes.append(
            "keyctl is off: Docker works without separate keyrings for containers. Proxmox's manual recommends it "
            f"for Docker; to enable it {_NODE}: {_FEATURES}"
        )
    return notes
