"""What any machine may lack: systemd, a disk that keeps changes, fast instructions, packets of full size."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from hearth.host.hardware import Hardware

_MEMORY = ("tmpfs", "ramfs", "rootfs")
# Bytes: IPv6's minimum. Networks below it are not supported.
_MIN_MTU = 1280


@dataclass(frozen=True)
class Machine:
    """Results of `machine_probe.sh`.

    Attributes:
        has_systemd: systemd was started as the first process.
        init: name of the first process.
        read_only: directories that Hearth writes to and can't.
        in_memory: changes of the root file system are lost when the host restarts; only for a machine, not a container.
        lacks_avx: an x86 processor without AVX.
        is_virtual: the processor is that of a virtual machine.
        interface: the network interface that packets to the internet leave through; "" if unknown.
        mtu: bytes of the largest packet that leaves through it; 0 if unknown.
    """

    has_systemd: bool = True
    init: str = ""
    read_only: tuple[str, ...] = ()
    in_memory: bool = False
    lacks_avx: bool = False
    is_virtual: bool = False
    interface: str = ""
    mtu: int = 0


def parse_machine(lines: Iterable[str], in_container: bool) -> Machine:
    """Parse the lines of `machine_probe.sh`, name and value. Without any, nothing is lacking."""
    pairs = [(name, value) for name, _, value in (line.partition(" ") for line in lines)]
    if not pairs:
        return Machine()
    values = dict(pairs)
    flags = [value for name, value in pairs if name == "flag"]
    root, changes = values.get("root", ""), values.get("changes", "")
    interface, mtu = _way_out(values.get("route", ""), [value for name, value in pairs if name == "mtu"])
    return Machine(
        has_systemd="systemd" in values,
        init=values.get("init", ""),
        read_only=tuple(dict.fromkeys(value for name, value in pairs if name == "read-only")),
        in_memory=not in_container and (root in _MEMORY or (root == "overlay" and (not changes or changes in _MEMORY))),
        lacks_avx="fpu" in flags and "avx" not in flags,
        is_virtual="hypervisor" in flags,
        interface=interface,
        mtu=mtu,
    )


def _way_out(route: str, devices: Iterable[str]) -> tuple[str, int]:
    """Interface and MTU from the output of `ip -j route get` and lines of `MTU NAME`; "" and 0 if unknown."""
    try:
        (found,) = json.loads(route)
        interface = str(found["dev"])
    except (ValueError, TypeError, KeyError):
        return "", 0
    of_devices = {name: int(mtu) for mtu, _, name in (device.partition(" ") for device in devices) if mtu.isdecimal()}
    # Of this route: configured, or learnt from a router that needs fragments.
    metrics = [metric.get("mtu") for metric in found.get("metrics", []) if isinstance(metric, dict)]
    known = [mtu for mtu in (of_devices.get(interface), *metrics) if isinstance(mtu, int) and mtu >= _MIN_MTU]
    return (interface, min(known)) if known else ("", 0)


def machine_obstacles(machine: Machine, hardware: Hardware) -> list[str]:
    """Why the machine can't keep or start a deploy: a sentence each, with the fix."""
    obstacles = []
    if not machine.has_systemd:
        obstacles.append(
            f"the host was started without systemd (its first process is {machine.init or 'unknown'}), which starts "
            "Docker and Hearth's services; run `sudo apt-get install systemd-sysv` and reboot, or use a system with "
            "systemd"
        )
    if machine.read_only:
        obstacles.append(
            f"{', '.join(machine.read_only)} can't be written to: the file system is read-only. `sudo mount -o "
            "remount,rw /` shows why. If it was writable before, its disk has errors: `sudo dmesg | grep -i error`"
        )
    elif machine.in_memory:
        fix = (
            "on the Pi, run `sudo raspi-config nonint disable_overlayfs` (in its menu: Performance Options, Overlay "
            "File System), and reboot"
            if hardware.is_pi
            else "install the system on a disk, or turn off its overlay (overlayroot in /etc/overlayroot.conf, or on "
            "the kernel's command line), and reboot"
        )
        obstacles.append(
            "the root file system is in memory (an overlay, or a live system), so everything that a deploy writes "
            f"is lost when the host restarts; {fix}"
        )
    return obstacles


def machine_warnings(machine: Machine, hardware: Hardware, docker_mtu: int) -> list[str]:
    """What makes models slow, or their downloads stall: a sentence each, with the fix."""
    warnings = []
    if machine.lacks_avx and hardware.kernel == "x86_64":
        fix = (
            "Give the virtual machine its host's processor (on a Proxmox node: `qm set ID --cpu host`), shut it down "
            "and start it again"
            if machine.is_virtual
            else "Use a machine with a newer processor"
        )
        warnings.append(f"the processor has no AVX instructions, so models are much slower here. {fix}")
    if 0 < machine.mtu < docker_mtu:
        warnings.append(
            f"docker_mtu = {docker_mtu}: packets that leave through {machine.interface} have at most {machine.mtu} "
            'bytes (its MTU, as with a VPN or PPPoE), so larger ones may get lost, and downloads stall ("TLS handshake '
            f'timeout"); use docker_mtu = {machine.mtu}'
        )
    return warnings
