"""What shows that Ollama computes on the processor though it has to use a GPU."""

from __future__ import annotations

import json

import pytest

from hearth.gpu.use import GpuUseState, LoadedModel, find_gpu_loss, parse_gpu_use
from tests.support.recorded.gpu import COMPUTE_CPU, COMPUTE_CUDA, COMPUTE_ROCM

ON_GPU, PARTLY, ON_PROCESSOR = (LoadedModel("llama3.2:1b", 100, gpu) for gpu in (100, 40, 0))


@pytest.mark.parametrize(
    "state",
    [
        GpuUseState(),
        GpuUseState("", (COMPUTE_CPU,), (ON_PROCESSOR,)),
        GpuUseState("nvidia", (COMPUTE_CUDA,)),
        GpuUseState("amd", (COMPUTE_ROCM,), (ON_GPU,)),
        # A part of it is on the GPU: a matter of memory, of which the release warned.
        GpuUseState("nvidia", (COMPUTE_CUDA,), (PARTLY,)),
        # The log no longer has these lines.
        GpuUseState("nvidia"),
    ],
)
def test_no_evidence(state: GpuUseState) -> None:
    assert find_gpu_loss(state) == ""


def test_a_gpu_that_was_not_found_at_the_start() -> None:
    assert find_gpu_loss(GpuUseState("nvidia", (COMPUTE_CPU,))) == "Ollama found no usable GPU when it started"


def test_a_gpu_that_was_lost_after_the_start() -> None:
    found = find_gpu_loss(GpuUseState("nvidia", (COMPUTE_CUDA,), (ON_GPU, ON_PROCESSOR)))
    assert found == "llama3.2:1b is in memory, and nothing of it on the GPU"


def test_a_response_of_ollama() -> None:
    ps = {"models": [{"name": "a:latest", "size": 7, "size_vram": 3}, {"name": "b:latest", "size": 5}]}
    state = parse_gpu_use(["wanted nvidia", f"compute {COMPUTE_CUDA}", f"ps {json.dumps(ps)}"])
    models = (LoadedModel("a:latest", 7, 3), LoadedModel("b:latest", 5, 0))
    assert state == GpuUseState("nvidia", (COMPUTE_CUDA,), models)


@pytest.mark.parametrize("line", ["ps ", 'ps {"models":null}', "ps <html>", "ps []"])
def test_no_response_is_no_evidence(line: str) -> None:
    assert parse_gpu_use(["wanted amd", line]) == GpuUseState("amd")
