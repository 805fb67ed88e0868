"""Published outputs of real machines with GPUs, with their sources."""

from __future__ import annotations

# Two Quadro RTX 4000, driver 535.129.03: UUIDs, version and memory as printed by `nvidia-smi -L` and `nvidia-smi` in
# https://github.com/akash-network/provider-configs/pull/12 (2024-02-29), in the form of `--format=csv,noheader,nounits`
# shown in https://github.com/Ricks-Lab/gpu-utils/issues/83.
NVIDIA_SMI = (
    "smi 0, GPU-c7b57be0-94ff-d352-a59b-d0ee00aeed43, 535.129.03, 8192, Quadro RTX 4000",
    "smi 1, GPU-d6de6afc-bdfe-75c4-5273-0544439153fc, 535.129.03, 8192, Quadro RTX 4000",
)
# https://github.com/illinois-scicomp/machine-shop-maintenance/issues/60 and 70: the kernel had 520.56.06 loaded, and
# nvidia-smi was 525.85.12.
NVIDIA_SMI_MISMATCH = "smi Failed to initialize NVML: Driver/library version mismatch"
# https://github.com/illinois-scicomp/machine-shop-maintenance/issues/70
NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  520.56.06  Thu Oct  6 21:38:55 UTC 2022\n"
# https://github.com/lyulyul/shine-cluster/issues/50
NVIDIA_SMI_NO_DRIVER = (
    "smi NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
    "NVIDIA driver is installed and running."
)
# Ollama's log: a CPU only (https://github.com/ollama/ollama/pull/6736), an RTX 4090
# (https://github.com/ollama/ollama/issues/8467), a Radeon (https://github.com/ollama/ollama/issues/10691).
COMPUTE_CPU = (
    'level=INFO source=types.go:107 msg="inference compute" id=0 library=cpu variant=avx2 compute="" driver=0.0 name=""'
    ' total="61.9 GiB" available="59.7 GiB"'
)
COMPUTE_CUDA = (
    'level=INFO source=types.go:131 msg="inference compute" id=GPU-1c625a84-5d45-2274-8fa9-69f73d8ce165 library=cuda '
    'variant=v12 compute=8.9 driver=12.4 name="NVIDIA GeForce RTX 4090" total="23.6 GiB" available="21.6 GiB"'
)
COMPUTE_ROCM = (
    'level=INFO source=types.go:130 msg="inference compute" id=GPU-8668c3be2237aa5f library=rocm variant="" '
    'compute=gfx1100 driver=0.0 name=1002:744c total="20.0 GiB" available="14.6 GiB"'
)
