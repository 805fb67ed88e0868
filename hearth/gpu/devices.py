"""A host's GPUs, and what keeps Ollama's container from using them. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hearth.host.platform import Platform
from hearth.runtime.text import join_words
from hearth.settings.model import Settings

_LINES = Path(__file__).with_name("preflight_probe.sh").read_text(encoding="utf-8").splitlines()
# Prints the section that `parse_gpus` reads; without comments, which need not be sent to the host.
GPU_PROBE = "\n".join(line for line in _LINES if not line.lstrip().startswith("#"))

# https://docs.ollama.com/gpu: the oldest driver for NVIDIA's GPUs.
OLDEST_NVIDIA = 531
_NVIDIA, _AMD = "0x10de", "0x1002"
_MIB = 2**20
_SMI = re.compile(
    r"(?P<index>\d+), (?P<uuid>GPU-[0-9a-f-]+), (?P<driver>[0-9.]+), (?P<memory>\d+|\[[^]]*\]), (?P<name>.+)"
)


@dataclass(frozen=True)
class NvidiaGpu:
    """A line of nvidia-smi; memory in bytes, 0 if it shares the host's."""

    index: str
    uuid: str
    driver: str
    memory: int
    name: str


@dataclass(frozen=True)
class RenderNode:
    """A device in /dev/dri, as the kernel lists it: its name, PCI vendor, and memory in bytes (0 if unknown)."""

    name: str
    vendor: str
    memory: int


@dataclass(frozen=True)
class Gpus:
    """GPUs of a host. Empty if `ollama_gpu` is off, since nothing was probed then.

    Attributes:
        pci: (vendor, kernel driver) of each display controller and accelerator; the driver is "" without one.
        nodes: the kernel's render nodes; of a container, also those that it does not have.
        kfd: the kernel has AMD's compute driver.
        owners: device → user id of its owner; in a container, 65534 for a user that it does not have.
        module: version of NVIDIA's kernel module, "" if it is not loaded.
        nvidia: GPUs according to nvidia-smi.
        smi_error: what nvidia-smi printed instead; None if there is no nvidia-smi.
    """

    pci: tuple[tuple[str, str], ...] = ()
    nodes: tuple[RenderNode, ...] = ()
    kfd: bool = False
    owners: dict[str, int] = field(default_factory=dict)
    module: str = ""
    nvidia: tuple[NvidiaGpu, ...] = ()
    smi_error: str | None = None

    def has(self, vendor: str) -> bool:
        return any(one == vendor for one, _ in self.pci) or any(node.vendor == vendor for node in self.nodes)


def parse_gpus(lines: Iterable[str]) -> Gpus:
    """The output of `GPU_PROBE`."""
    rows = [line.partition(" ") for line in lines]
    found: dict[str, list[str]] = {}
    for kind, _, rest in rows:
        found.setdefault(kind, []).append(rest)
    smi = [_SMI.fullmatch(line.strip()) for line in found.get("smi", [])]
    nvidia = tuple(
        NvidiaGpu(
            match["index"],
            match["uuid"],
            match["driver"],
            int(match["memory"]) * _MIB if match["memory"].isdigit() else 0,
            match["name"],
        )
        for match in smi
        if match
    )
    nodes = (line.split() for line in found.get("render", []))
    devices = (line.split() for line in found.get("device", []))
    return Gpus(
        pci=tuple((vendor, driver) for vendor, _, driver in (line.partition(" ") for line in found.get("pci", []))),
        nodes=tuple(RenderNode(name, vendor, int(memory)) for name, vendor, memory in nodes),
        kfd="kfd" in found,
        owners={name: int(owner) for name, owner in devices},
        module=next(iter(found.get("module", [])), ""),
        nvidia=nvidia,
        smi_error=None if "smi" not in found or nvidia else " ".join(line.strip() for line in found["smi"]),
    )


def gpu_memory(settings: Settings, gpus: Gpus) -> int:
    """Bytes of the GPUs that Ollama may use; 0 if unknown, or if they share the host's memory."""
    chosen = settings.ollama_gpu_devices
    if settings.ollama_gpu == "nvidia":
        return sum(gpu.memory for gpu in gpus.nvidia if not chosen or {gpu.index, gpu.uuid} & set(chosen))
    vendors = {_AMD} if settings.ollama_gpu == "amd" else {node.vendor for node in gpus.nodes}
    return sum(node.memory for node in gpus.nodes if node.vendor in vendors and (not chosen or node.name in chosen))


def gpu_obstacles(settings: Settings, gpus: Gpus, container: str, platform: Platform) -> list[str]:
    """Why Ollama's container can't have the GPU, a sentence with the fix; empty if it can, or if `ollama_gpu` is off.

    Args:
        container: the kind of container that the host is (`lxc`), "" on a machine.
    """
    if settings.ollama_gpu == "off":
        return []
    reason = _nvidia(settings, gpus, container, platform) if settings.ollama_gpu == "nvidia" else ""
    if settings.ollama_gpu != "nvidia":
        reason = _render(settings, gpus, container, platform)
    return [f'ollama_gpu = "{settings.ollama_gpu}": {reason}, or use ollama_gpu = "off"'] if reason else []


def _nvidia(settings: Settings, gpus: Gpus, container: str, platform: Platform) -> str:
    if not gpus.has(_NVIDIA) and not gpus.module and not gpus.nvidia:
        return f"there is no NVIDIA GPU on the host{_ABSENT}"
    if not gpus.module:
        where = " on the machine that this container runs on" if container else ""
        return f"NVIDIA's driver is not loaded{where}; install it{where}: {_nvidia_driver(platform)}"
    first = sorted(name for name in gpus.owners if re.fullmatch(r"/dev/nvidia[0-9]+", name)) or ["/dev/nvidia0"]
    needed = [*first, "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    if container and not set(needed[:-1]) <= gpus.owners.keys():
        return _pass_devices(needed)
    if gpus.smi_error is None and not gpus.nvidia:
        return (
            f"the kernel has NVIDIA's driver {gpus.module}, but there is no nvidia-smi; install the driver's programs "
            f"in the same version: {_programs(gpus.module, container, platform)}"
        )
    if gpus.smi_error:
        fix = (
            "reboot the host, which loads the driver that was upgraded"
            if "mismatch" in gpus.smi_error and not container
            else f"make its programs and the kernel's driver {gpus.module} the same version: "
            + _programs(gpus.module, container, platform)
        )
        return f'`nvidia-smi` reports "{gpus.smi_error}"; {fix}'
    old = next((gpu for gpu in gpus.nvidia if int(gpu.driver.partition(".")[0]) < OLDEST_NVIDIA), None)
    if old:
        return (
            f"its driver is {old.driver}, and Ollama needs {OLDEST_NVIDIA} or later; upgrade it: "
            f"{_nvidia_driver(platform)}"
        )
    known = {name for gpu in gpus.nvidia for name in (gpu.index, gpu.uuid)}
    return _missing({name for name in settings.ollama_gpu_devices if not name.startswith("MIG-")} - known, known)


def _render(settings: Settings, gpus: Gpus, container: str, platform: Platform) -> str:
    is_amd = settings.ollama_gpu == "amd"
    if is_amd and platform.architecture != "amd64":
        return (
            f'Ollama\'s image for ROCm is only built for amd64, and the host is {platform.architecture}; use "vulkan"'
        )
    nodes = [node.name for node in gpus.nodes if not is_amd or node.vendor == _AMD]
    if is_amd and not gpus.has(_AMD):
        return f"there is no AMD GPU on the host{_ABSENT}"
    if not nodes or (is_amd and not gpus.kfd):
        missing = "/dev/kfd" if nodes else "a render node in /dev/dri"
        return (
            f"the kernel has no driver that provides {missing}; install the GPU's firmware: {_firmware(platform)}. "
            "`sudo dmesg | grep -iE 'drm|amdgpu|i915'` shows what it lacks"
        )
    chosen = settings.ollama_gpu_devices
    if reason := _missing(set(chosen) - set(nodes), set(nodes)):
        return reason
    needed = [*(["/dev/kfd"] if is_amd else []), *(f"/dev/dri/{name}" for name in chosen or nodes)]
    absent = [path for path in needed if path not in gpus.owners]
    foreign = [path for path in needed if gpus.owners.get(path)]
    if (absent or foreign) and container:
        return _pass_devices(needed)
    if absent:
        return f"{join_words(absent)} is missing, though the kernel has a driver for it; reboot the host"
    if foreign:
        # Without capabilities, root may only open what it owns.
        return (
            f"{join_words(foreign)} does not belong to root, so Ollama's container can't open it; run `sudo chown root "
            f"{' '.join(foreign)}`"
        )
    return ""


_ABSENT = "; if it is a virtual machine, pass the GPU through to it (docs/gpu.md)"


def _missing(missing: set[str], known: set[str]) -> str:
    if not missing:
        return ""
    return (
        f"ollama_gpu_devices lists {join_words(sorted(missing))}, and the host has {join_words(sorted(known))}; "
        "use these"
    )


def _pass_devices(paths: list[str]) -> str:
    options = " ".join(f"--dev{number} {path}" for number, path in enumerate(paths))
    return (
        "this container does not have the GPU's devices, or may not open them. On the Proxmox node (8.1 or later; ID "
        f"is the container's number there; use free numbers if it has devices already): `pct set ID {options}`, then "
        "`pct reboot ID`"
    )


def _nvidia_driver(platform: Platform) -> str:
    if platform.family == "ubuntu":
        return "`sudo ubuntu-drivers install`, then reboot"
    return (
        "add `contrib non-free` to the components in /etc/apt/sources.list.d, then `sudo apt update && sudo apt "
        f"install linux-headers-{platform.architecture} nvidia-driver`, and reboot"
    )


def _programs(version: str, container: str, platform: Platform) -> str:
    if container:
        return f"NVIDIA's installer NVIDIA-Linux-x86_64-{version}.run with `--no-kernel-modules`"
    return _nvidia_driver(platform)


def _firmware(platform: Platform) -> str:
    if platform.family == "ubuntu":
        return "`sudo apt install linux-firmware`, then reboot"
    packages = "firmware-amd-graphics firmware-misc-nonfree" + (
        " firmware-intel-graphics" if platform.version > 12 else ""
    )
    return f"`sudo apt install {packages}` (of the component non-free-firmware), then reboot"
