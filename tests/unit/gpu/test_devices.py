"""A host's GPUs: what the probe prints, and what keeps Ollama's container from using them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hearth.gpu.devices import GPU_PROBE, Gpus, gpu_memory, gpu_obstacles, parse_gpus
from hearth.host.hardware import Hardware
from hearth.host.platform import Platform
from hearth.preflight.memory import gpu_memory_warnings, memory_obstacles, memory_warnings
from hearth.render.compose import render_compose
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings
from tests.support.recorded import gpu as recorded

Make = Callable[..., Settings]
DEBIAN = Platform("debian", 13, "trixie", "amd64", "Debian GNU/Linux 13 (trixie)")
UBUNTU = Platform("ubuntu", 24, "noble", "amd64", "Ubuntu 24.04 LTS")
ROCM = "ollama/ollama:0.32.15-rocm"
NVIDIA = [
    "pci 0x10de nvidia",
    "device /dev/nvidia0 0",
    "device /dev/nvidia1 0",
    "device /dev/nvidiactl 0",
    "device /dev/nvidia-uvm 0",
    "module 535.129.03",
    *recorded.NVIDIA_SMI,
]
AMD = [
    "pci 0x1002 amdgpu",
    "render renderD128 0x1002 21458059264",
    "render renderD129 0x8086 0",
    "kfd",
    "device /dev/kfd 0",
    "device /dev/dri/renderD128 0",
    "device /dev/dri/renderD129 0",
]


def reason(settings: Settings, lines: list[str], container: str = "", platform: Platform = DEBIAN) -> str:
    (obstacle,) = gpu_obstacles(settings, parse_gpus(lines), container, platform)
    assert obstacle.startswith(f'ollama_gpu = "{settings.ollama_gpu}": ')
    assert obstacle.endswith('or use ollama_gpu = "off"')
    return obstacle


def without(lines: list[str], *starts: str) -> list[str]:
    return [line for line in lines if not line.startswith(starts)]


def test_off_needs_nothing_and_renders_nothing(make_settings: Make) -> None:
    settings = make_settings()
    assert settings.ollama_gpu == "off"
    assert gpu_obstacles(settings, Gpus(), "", DEBIAN) == []
    text = render_compose(settings)
    assert not re.search("gpu|devices|vulkan|/dev/dri", text, re.IGNORECASE)
    # Each part of the template that a GPU adds is within a condition: without them, nothing else differs.
    added = render_compose(make_settings(ollama_gpu="nvidia")).splitlines()
    assert set(text.splitlines()) <= set(added)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"ollama_gpu": "nvidia"}, NVIDIA),
        ({"ollama_gpu": "nvidia", "ollama_gpu_devices": ["1"]}, NVIDIA),
        ({"ollama_gpu": "nvidia", "ollama_gpu_devices": ["GPU-d6de6afc-bdfe-75c4-5273-0544439153fc"]}, NVIDIA),
        ({"ollama_gpu": "amd", "ollama_image": ROCM}, AMD),
        ({"ollama_gpu": "vulkan", "ollama_gpu_devices": ["renderD129"]}, AMD),
    ],
)
def test_a_usable_gpu(make_settings: Make, changes: dict[str, Any], lines: list[str]) -> None:
    assert gpu_obstacles(make_settings(**changes), parse_gpus(lines), "", DEBIAN) == []
    assert gpu_obstacles(make_settings(**changes), parse_gpus(lines), "lxc", DEBIAN) == []


def test_nvidias_driver(make_settings: Make) -> None:
    settings = make_settings(ollama_gpu="nvidia")
    assert "there is no NVIDIA GPU on the host" in reason(settings, ["pci 0x1234 bochs-drm"])
    missing = reason(settings, ["pci 0x10de nouveau"])
    assert "NVIDIA's driver is not loaded; install it: add `contrib non-free`" in missing
    assert "sudo apt install linux-headers-amd64 nvidia-driver`, and reboot" in missing
    assert "`sudo ubuntu-drivers install`" in reason(settings, ["pci 0x10de nouveau"], platform=UBUNTU)
    no_smi = without(NVIDIA, "smi")
    assert "the kernel has NVIDIA's driver 535.129.03, but there is no nvidia-smi" in reason(settings, no_smi)
    upgraded = reason(settings, [*no_smi, recorded.NVIDIA_SMI_MISMATCH])
    assert 'reports "Failed to initialize NVML: Driver/library version mismatch"; reboot the host' in upgraded
    broken = reason(settings, [*no_smi, recorded.NVIDIA_SMI_NO_DRIVER])
    assert "couldn't communicate with the NVIDIA driver" in broken
    assert "make its programs and the kernel's driver 535.129.03 the same version" in broken
    old = [line.replace("535.129.03", "470.182.03") for line in NVIDIA]
    assert "its driver is 470.182.03, and Ollama needs 531 or later" in reason(settings, old)


def test_a_proxmox_container_needs_device_lines(make_settings: Make) -> None:
    nvidia = reason(make_settings(ollama_gpu="nvidia"), without(NVIDIA, "device", "smi"), "lxc")
    assert (
        "`pct set ID --dev0 /dev/nvidia0 --dev1 /dev/nvidiactl --dev2 /dev/nvidia-uvm --dev3 /dev/nvidia-uvm-tools`, "
        "then `pct reboot ID`" in nvidia
    )
    no_programs = reason(make_settings(ollama_gpu="nvidia"), without(NVIDIA, "smi"), "lxc")
    assert "NVIDIA-Linux-x86_64-535.129.03.run with `--no-kernel-modules`" in no_programs
    amd = make_settings(ollama_gpu="amd", ollama_image=ROCM)
    lines = "`pct set ID --dev0 /dev/kfd --dev1 /dev/dri/renderD128`"
    assert lines in reason(amd, without(AMD, "device"), "lxc")
    # As with `lxc.mount.entry`: the node's root is not a user of the container.
    assert lines in reason(amd, [line.replace("dri/renderD128 0", "dri/renderD128 65534") for line in AMD], "lxc")


def test_amds_and_other_drivers(make_settings: Make) -> None:
    amd, vulkan = make_settings(ollama_gpu="amd", ollama_image=ROCM), make_settings(ollama_gpu="vulkan")
    assert "there is no AMD GPU on the host" in reason(amd, ["pci 0x8086 i915"])
    assert "no driver that provides /dev/kfd" in reason(amd, without(AMD, "kfd"))
    assert "no driver that provides a render node in /dev/dri" in reason(vulkan, ["pci 0x8086 "])
    assert "firmware-intel-graphics" in reason(vulkan, ["pci 0x8086 "])
    assert "`sudo apt install linux-firmware`" in reason(vulkan, [], platform=UBUNTU)
    assert "/dev/dri/renderD128 is missing" in reason(amd, without(AMD, "device /dev/dri/renderD128"))
    owned = [line.replace("/dev/kfd 0", "/dev/kfd 1000") for line in AMD]
    assert "/dev/kfd does not belong to root" in reason(amd, owned)
    arm = Platform("debian", 13, "trixie", "arm64", "Debian")
    assert 'only built for amd64, and the host is arm64; use "vulkan"' in reason(amd, AMD, platform=arm)


def test_a_gpu_that_is_not_there(make_settings: Make) -> None:
    chosen = reason(make_settings(ollama_gpu="nvidia", ollama_gpu_devices=["2"]), NVIDIA)
    assert "ollama_gpu_devices lists 2, and the host has 0, 1, GPU-c7b57be0" in chosen
    other = reason(make_settings(ollama_gpu="vulkan", ollama_gpu_devices=["renderD130"]), AMD)
    assert "lists renderD130, and the host has renderD128 and renderD129; use these" in other


def test_memory_counts_that_of_the_chosen_gpus(make_settings: Make) -> None:
    gpus = parse_gpus(NVIDIA)
    settings = make_settings(ollama_gpu="nvidia", ollama_models=["qwen3:14b"])
    assert gpu_memory(settings, gpus) == 2 * 8192 * 2**20
    one = gpu_memory(make_settings(ollama_gpu="nvidia", ollama_gpu_devices=["1"]), gpus)
    assert one == 8192 * 2**20
    assert gpu_memory(make_settings(ollama_gpu="amd", ollama_image=ROCM), parse_gpus(AMD)) == 21458059264
    assert gpu_memory(make_settings(), Gpus()) == 0
    small = Hardware(memory=4 * 10**9)
    (obstacle,) = memory_obstacles(settings, small)
    assert "the host has 4.0 GB, without swap" in obstacle
    assert memory_obstacles(settings, small, one) == []
    assert memory_warnings(settings, small, 2 * one) == []
    (warning,) = gpu_memory_warnings(settings, one)
    assert "qwen3:14b may not fit into the GPU's memory: it needs about" in warning
    assert gpu_memory_warnings(settings, 2 * one) == []
    (tight,) = memory_warnings(settings, Hardware(memory=10**9), one)
    assert "the host has 1.0 GB, its GPU 8.6 GB, without swap" in tight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ollama_gpu": "cuda"}, "'off', 'nvidia', 'amd' or 'vulkan'"),
        ({"ollama_gpu_devices": ["0"]}, 'is set but not used, since ollama_gpu = "off"'),
        ({"ollama_gpu": "nvidia", "ollama_gpu_devices": ["renderD128"]}, 'use ["0"] (or a UUID'),
        ({"ollama_gpu": "vulkan", "ollama_gpu_devices": ["0"]}, 'use ["renderD128"]'),
        ({"ollama_gpu": "nvidia", "ollama_gpu_devices": ["all"]}, 'such as "0", or its device, "renderD128"'),
        ({"ollama_gpu": "amd", "ollama_image": "ollama/ollama:0.32.15"}, f'use ollama_image = "{ROCM}"'),
        ({"ollama_gpu": "nvidia", "ollama_image": ROCM}, 'use ollama_image = "ollama/ollama:0.32.15"'),
    ],
)
def test_settings_that_are_refused(make_settings: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make_settings(**changes)
    assert message in str(refused.value)


def test_the_probe_reads_the_drivers_version(tmp_path: Path) -> None:
    pattern = next(line for line in GPU_PROBE.splitlines() if line.startswith("sed -n"))
    script = pattern.replace("/proc/driver/nvidia/version", str(tmp_path / "version"))
    (tmp_path / "version").write_text(recorded.NVRM)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "module 520.56.06\n"
