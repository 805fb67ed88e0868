"""Whether Ollama computes on the GPU that it was given. Pure rules, and the shell that collects what they need."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
# Functions for bash; $ollama is the name of the container.
CHECK_GPU = (_HERE / "use.bash").read_text(encoding="utf-8")
# Prints the section that `parse_gpu_use` reads.
GPU_USE_PROBE = (_HERE / "use_probe.sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory: its name, its bytes, and how many of them are in GPU memory."""

    name: str
    size: int
    gpu: int


@dataclass(frozen=True)
class GpuUseState:
    """What Ollama computes on.

    Attributes:
        wanted: the `ollama_gpu` with which the container was created; "" for none, or without a container.
        compute: Ollama's log lines on what it found at its start; empty if the log no longer has them.
        models: those in memory.
    """

    wanted: str = ""
    compute: tuple[str, ...] = ()
    models: tuple[LoadedModel, ...] = ()


def parse_gpu_use(lines: Iterable[str]) -> GpuUseState:
    """The section of `GPU_USE_PROBE`."""
    rows = [line.partition(" ") for line in lines]
    wanted = next((rest for kind, _, rest in rows if kind == "wanted"), "")
    ps = next((rest for kind, _, rest in rows if kind == "ps"), "{}")
    try:
        models = json.loads(ps).get("models") or []
    except (ValueError, AttributeError):
        models = []  # no response
    return GpuUseState(
        wanted=wanted.strip(),
        compute=tuple(rest for kind, _, rest in rows if kind == "compute"),
        models=tuple(LoadedModel(one["name"], one.get("size", 0), one.get("size_vram", 0)) for one in models),
    )


def find_gpu_loss(state: GpuUseState) -> str:
    """The evidence that Ollama computes on the processor though a GPU is required; "" if there is none.

    A model in memory is the best evidence: a GPU that was lost after Ollama's start (a suspend, a driver's crash) shows
    only there.
    """
    if not state.wanted:
        return ""
    on_processor = [one.name for one in state.models if one.size and not one.gpu]
    if on_processor:
        verb = "is" if len(on_processor) == 1 else "are"
        return f"{', '.join(on_processor)} {verb} in memory, and nothing of it on the GPU"
    if not state.models and state.compute and all("library=cpu" in line for line in state.compute):
        return "Ollama found no usable GPU when it started"
    return ""
