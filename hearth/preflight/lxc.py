"""A host that is a container (Proxmox's LXC): what it lets Docker do, and the setting to change where it does not."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass

# File systems on which Docker does not use overlay2, by the names that `stat -f` has for them (moby, overlay2.Init).
_NOT_BENEATH_OVERLAY = ("aufs", "ecryptfs", "nfs", "overlayfs", "zfs")
_ALL_IDS = 2**32 - 1
# How mount and unshare say that the kernel refused. Any other trouble of theirs is no finding.
_REFUSED = re.compile(
    "permission denied|not permitted|not supported|wrong fs type|unknown filesystem type", re.IGNORECASE
)
_FEATURES = "`pct set ID -features nesting=1,keyctl=1`, then `pct reboot ID`"
_NODE = "on the Proxmox node (ID is the container's number there)"
_NESTING_ON = f"Switch nesting on, {_NODE}: {_FEATURES}"


@dataclass(frozen=True)
class ContainerHost:
    """What was tried in a container.

    Attributes:
        kind: as systemd-detect-virt names it (`lxc`, `docker`, …); "" on a machine, of which nothing else is known.
        privileged: its root is the root of the machine below.
        nesting: LXC has prepared it for containers inside.
        proc: what `mount` said when a proc was to be mounted once more; "" if it was.
        has_keyctl: the system call exists there.
        sysctl: number of the error with which runc fails to open a sysctl; 0 for none.
        storage: the file system below /var/lib/docker, as `stat -f` names it; "" where an engine is there.
        overlay: what `mount` said when an overlay was to be mounted on it; "" if it was.
    """

    kind: str = ""
    privileged: bool = False
    nesting: bool = False
    proc: str = ""
    has_keyctl: bool = True
    sysctl: int = 0
    storage: str = ""
    overlay: str = ""

    @property
    def is_lxc(self) -> bool:
        return self.kind == "lxc"


def parse_container_host(lines: Iterable[str]) -> ContainerHost:
    """From the lines of `hearth/preflight/lxc_probe.sh`: a word and what was found. What was not tried is no fault."""
    found = {name: value for name, _, value in (line.partition(" ") for line in lines)}
    if not found.get("kind"):
        return ContainerHost()
    uids = [int(number) for number in found.get("uids", "").split()]
    said = {name: found.get(name, "") for name in ("proc", "overlay")}
    refused = {name: words if _REFUSED.search(words) else "" for name, words in said.items()}
    return ContainerHost(
        kind=found["kind"],
        privileged=uids == [0, 0, _ALL_IDS],
        nesting="nesting" in found,
        proc=refused["proc"],
        has_keyctl=found.get("keyctl") != str(errno.ENOSYS),
        sysctl=int(found.get("sysctl", 0)),
        storage=found.get("storage", ""),
        overlay=refused["overlay"],
    )


def container_obstacles(host: ContainerHost, serves: bool) -> list[str]:
    """Why Docker could not run containers in this one: a sentence each, with the setting to change.

    Args:
        serves: containers of Hearth run there, so that Docker can do what was tried with the runc that it has.
    """
    obstacles = []
    if host.proc and not serves:
        obstacles.append(
            f"this container ({host.kind}) may not mount a proc of its own ({host.proc}), which Docker does for every "
            f"container. {_proc_cure(host)}"
        )
    elif host.sysctl == errno.EACCES and not serves:
        obstacles.append(_apparmor(host))
    if host.storage in _NOT_BENEATH_OVERLAY or host.overlay:
        obstacles.append(_storage(host))
    return obstacles


def _proc_cure(host: ContainerHost) -> str:
    if not host.is_lxc:
        return "Hearth wants a machine, or an LXC container with nesting"
    if host.nesting:
        return (
            "Nesting is on, so something else forbids it: a profile in /etc/pve/lxc/ID.conf (`lxc.apparmor.profile`) "
            "on the Proxmox node, say; `journalctl -k | grep DENIED` there tells"
        )
    return _NESTING_ON


def _apparmor(host: ContainerHost) -> str:
    if not host.is_lxc:
        cure = "Update what runs this container"
    elif not host.nesting:
        # The profile of a container without nesting refuses it on every node.
        cure = f"{_NESTING_ON}. If it is still refused then, update the node"
    else:
        cure = (
            f"Update that node (`apt update && apt full-upgrade`: lxc-pve 6.0.5-2 or later has the cure), {_NODE}, "
            "then `pct reboot ID`"
        )
    return (
        "AppArmor on the machine below this container keeps a current Docker from setting "
        "net.ipv4.ip_unprivileged_port_start, and no container would start (opencontainers/runc#4968, "
        f"containerd#12484). {cure}"
    )


def _storage(host: ContainerHost) -> str:
    why = host.storage if host.storage in _NOT_BENEATH_OVERLAY else f"{host.storage}; {host.overlay}"
    cure = (
        f"Give Docker a volume of its own on a storage with ext4 or xfs (LVM, or a directory), {_NODE}: "
        "`pct set ID -mp0 STORAGE:32,mp=/var/lib/docker`, then `pct reboot ID`"
        if host.is_lxc
        else "Put /var/lib/docker on ext4 or xfs"
    )
    return (
        f"Docker's overlay2 storage does not work on the file system of /var/lib/docker ({why}), and without it every "
        f"layer of an image is a whole copy. {cure}"
    )


def container_notes(host: ContainerHost) -> list[str]:
    """What is worth knowing of a container that can take the deploy: a line each, none on a machine."""
    if not host.kind:
        return []
    what = "LXC container" if host.is_lxc else f"container ({host.kind})"
    notes = [
        f"{'a privileged' if host.privileged else 'an unprivileged'} {what}: its clock, its swap and the kernel's "
        "modules are those of the machine below, and are set there"
    ]
    if host.privileged and host.is_lxc:
        notes.append(
            "whoever becomes root in a privileged container is root on the Proxmox node; an unprivileged one does for "
            "Hearth (`pct create … -unprivileged 1`)"
        )
    if not host.has_keyctl:
        notes.append(
            "keyctl is off: Docker goes on without keyrings of its own for containers. Proxmox's manual asks for it "
            f"with Docker; to switch it on, {_NODE}: {_FEATURES}"
        )
    return notes
