"""The GPU: when something is changed on a host, the scripts, and how figures of /api/ps are read.

That the processor computes is tested with a real Ollama, in tests/proxy/test_gpu.py; a GPU is not available.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hearth.gpu.facts import GpuUse, Toolkit, ToolkitState
from hearth.gpu.operations import install_toolkit, restart_script, toolkit_removal_script, toolkit_script, use_gpu
from hearth.gpu.use import CHECK_GPU, GpuUseState, LoadedModel
from hearth.paths import GPU_TOOLKIT_RECORD
from hearth.runtime.shell import quote
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import Sandbox, check_syntax
from tests.support.recorded.gpu import COMPUTE_CPU, COMPUTE_CUDA

URL = "https://nvidia.github.io/libnvidia-container"
READY = ToolkitState(has_ctk=True, is_described=True, is_current=True)


def install(run: Run, state: ToolkitState) -> Result:
    return run(install_toolkit, {Toolkit: state}, apt_url=URL, timeout=60)


def test_a_described_gpu_is_not_changed(run: Run) -> None:
    result = install(run, READY)
    assert result.commands == []
    assert result.noop == "containers have access to the GPU"


@pytest.mark.parametrize("state", [ToolkitState(), replace(READY, half_installed=True)])
def test_the_toolkit_is_installed_from_nvidia_and_recorded_first(run: Run, state: ToolkitState) -> None:
    result = install(run, state)
    assert f"nvidia-container-toolkit-base is missing; installing it from {URL}" in str(result.said)
    (script,) = result.scripts
    assert script == toolkit_script(True, URL, 60)
    assert script.index(f"touch {GPU_TOOLKIT_RECORD}") < script.index("\napt_install nvidia-container-toolkit-base")
    assert f"URIs: {URL}/stable/deb/%s" in script
    assert f"download-file {URL}/gpgkey" in script


@pytest.mark.parametrize("state", [replace(READY, is_described=False), replace(READY, is_current=False)])
def test_the_users_own_toolkit_describes_the_gpu_again(run: Run, state: ToolkitState) -> None:
    result = install(run, state)
    assert "generating it" in str(result.said)
    (script,) = result.scripts
    assert "apt_install" not in script
    assert GPU_TOOLKIT_RECORD not in script
    assert "nvidia-ctk --quiet cdi generate --output=/etc/cdi/nvidia.yaml" in script


def test_a_lost_gpu_restarts_ollama(run: Run) -> None:
    def use(state: GpuUseState) -> Result:
        return run(use_gpu, {GpuUse: state}, models=("llama3.2:1b",), timeout=60, drain_timeout=30)

    assert use(GpuUseState("nvidia", (COMPUTE_CUDA,), (LoadedModel("llama3.2:1b", 7, 7),))).commands == []
    lost = use(GpuUseState("nvidia", (COMPUTE_CPU,)))
    said = 'ollama_gpu = "nvidia", but Ollama computes on the processor: Ollama found no usable GPU when it started; '
    assert said + "restarting Ollama" in str(lost.said)
    assert lost.scripts == [restart_script(("llama3.2:1b",), 60, 30)]


def test_scripts_have_valid_syntax() -> None:
    scripts = (toolkit_script(True, URL, 60), toolkit_script(False, URL, 60), toolkit_removal_script(60))
    for script in (*scripts, restart_script(("llama3.2:1b",), 60, 30), restart_script((), 60, 30)):
        check_syntax(script)


@pytest.mark.parametrize(
    ("vram", "said"),
    [
        (5137025024, "mistral is in GPU memory as a whole (5.1 GB)."),
        (
            2000000000,
            "Warning: only 2.0 GB of mistral are in GPU memory, and 3.1 GB are computed by the processor "
            "(38 % of 5.1 GB), which is much slower",
        ),
    ],
)
def test_what_is_in_gpu_memory(tmp_path: Path, vram: int, said: str) -> None:
    """/api/ps in the form of Ollama's API documentation, with other figures."""
    sandbox = Sandbox(tmp_path)
    models = (
        '{"models":[{"name":"other:7b","model":"other:7b","size":9,"details":{"format":"gguf"},"size_vram":0},'
        '{"name":"Mistral:latest","model":"mistral:latest","size":5137025024,"digest":"2ae6f6dd7a3d","details":{"format":'
        f'"gguf","families":["llama"]}},"expires_at":"2024-06-04T14:38:31.8-07:00","size_vram":{vram}}}]}}'
    )
    sandbox.program(
        "docker",
        'case "$*" in *printenv*) echo nvidia;; '
        f"*) printf 'HTTP/1.0 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n%s' '{models}';; esac",
    )
    done = sandbox.run(f"bash -c {quote(f'ollama=x; {CHECK_GPU}check_gpu mistral')}")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
