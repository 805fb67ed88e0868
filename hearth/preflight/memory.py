"""Whether models fit into a host's memory: failures and warnings. Pure rules.

Ollama 0.17.4 loads a model if it fits into the free memory and free swap together; otherwise, it responds "model
requires more system memory" (llm/server.go), only after the download. 0.32.15 has no such check for a host
without a GPU: its runner pages the rest from disk, or is killed (docs/versions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hearth.host.hardware import Hardware
from hearth.models.required_ollama import needs_newer
from hearth.models.sizes import COMMON, GB, Need, least_need, likely_need
from hearth.runtime.text import join_words
from hearth.settings.model import Settings
from hearth.settings.model_names import name_key
from hearth.settings.types import size_in_bytes

# GB. Ollama's server and its runner, without a model: 0.07 measured (0.17.4, amd64).
OLLAMA = 0.1
# GB of the system with sshd, Docker and httpd: minimum and typical. (Pi OS Lite alone uses 0.23, according to
# https://github.com/geerlingguy/sbc-reviews/issues/110.)
SYSTEM_MINIMUM, SYSTEM_TYPICAL = 0.1, 0.3


@dataclass(frozen=True)
class AvailableMemory:
    """GB of memory, swap and GPU memory available to Ollama with its models, and the setting that limits it, for
    messages."""

    memory: float
    swap: float
    swap_in_memory: float
    limit: str
    gpu: float = 0.0

    @property
    def in_memory(self) -> float:
        """GB in which a model can be without being paged: what a GPU lacks, the host's memory takes."""
        return self.memory + self.gpu

    @property
    def is_limited(self) -> bool:
        return self.limit != ""


def available_memory(settings: Settings, hardware: Hardware, gpu: int = 0) -> AvailableMemory:
    """What the host has for Ollama. The setting's limit counts only where the kernel enforces it.

    Args:
        gpu: bytes of the GPUs' own memory; 0 if there is none, or if it is unknown.
    """
    memory, limit = hardware.memory / GB, ""
    if settings.ollama_memory_limit and hardware.memory_cgroup_enabled:
        allowed = size_in_bytes(settings.ollama_memory_limit) / GB
        if allowed < memory:
            memory, limit = allowed, f"ollama_memory_limit = {settings.ollama_memory_limit!r}"
    return AvailableMemory(
        memory,
        sum(swap.size for swap in hardware.swaps) / GB,
        sum(swap.size for swap in hardware.swaps if swap.in_memory) / GB,
        limit,
        gpu / GB,
    )


def memory_obstacles(settings: Settings, hardware: Hardware, gpu: int = 0) -> list[str]:
    """A sentence for each model that can't run here, with the calculation and a model that can."""
    return [
        f"{_setting_of(model, settings)}: {model} can't run here: it needs at least {total:.1f} GB ({parts}), and "
        f"{_has(room)}; {_instead(settings, room)}. If the estimate is wrong, "
        f'set ollama_model_sizes_gb = {{"{_weights(model, settings)}": …}}'
        for model, total, parts, room in _needs(settings, hardware, least_need, SYSTEM_MINIMUM, gpu)
        if total > room.in_memory + room.swap
    ] + [
        f"ollama_preload: {join_words(models)} can't be in memory together: they need at least {total:.1f} GB "
        f"({parts}), and {_has(room)}; list fewer or smaller models, or use a shorter ollama_context_length"
        for models, total, parts, room in _preloaded(settings, hardware, least_need, SYSTEM_MINIMUM, gpu)
        if total > room.in_memory + room.swap
    ]


def memory_warnings(settings: Settings, hardware: Hardware, gpu: int = 0) -> list[str]:
    """A sentence for each model that may run slowly or fail, since it does not fit into memory with everything else."""
    return [
        f"{model} may not fit in memory: it needs about {total:.1f} GB ({parts}), and {_has(room)}. The rest is paged "
        f"from disk on every token, or Ollama refuses the model; {_instead(settings, room)}{_swap_advice(hardware)}"
        for model, total, parts, room in _needs(settings, hardware, likely_need, SYSTEM_TYPICAL, gpu)
        if total > room.in_memory
    ] + [
        f"ollama_preload: {join_words(models)} may not fit in memory together: they need about {total:.1f} GB "
        f"({parts}), and {_has(room)}. Ollama then unloads one for another, or the rest is paged from disk; list fewer "
        f"or smaller models{_swap_advice(hardware)}"
        for models, total, parts, room in _preloaded(settings, hardware, likely_need, SYSTEM_TYPICAL, gpu)
        if total > room.in_memory
    ]


def gpu_memory_warnings(settings: Settings, gpu: int) -> list[str]:
    """A sentence for each model of which a part may have to be computed by the processor.

    Args:
        gpu: bytes of the GPUs' own memory; 0 if there is none, or if it is unknown.
    """
    if not gpu:
        return []
    needs = {
        name: likely_need(model, settings.ollama_model_sizes_gb, tokens) for name, model, tokens in _loads(settings)
    }
    return [
        f"{name} may not fit into the GPU's memory: it needs about {need.sum:.1f} GB (model {need.model:.1f} + context "
        f"{need.context:.1f}), and that is {gpu / GB:.1f} GB. The processor then computes the rest, which is much "
        "slower; use a smaller model, or a shorter ollama_context_length"
        for name, need in needs.items()
        if need.sum * GB > gpu
    ]


def _needs(
    settings: Settings,
    hardware: Hardware,
    need_of: Callable[[str, Mapping[str, float], int], Need | None],
    system: float,
    gpu: int,
) -> Iterator[tuple[str, float, str, AvailableMemory]]:
    """(model, GB that it needs including overhead, the parts of that sum, the available memory) for each model.

    Models and hosts of unknown size are left out.

    Args:
        need_of: `least_need` or `likely_need`.
        system: GB for the operating system, which count unless a memory limit applies.
    """
    if not hardware.memory:
        return
    room = available_memory(settings, hardware, gpu)
    system = 0 if room.is_limited else system
    for name, model, tokens in _loads(settings):
        if need := need_of(model, settings.ollama_model_sizes_gb, tokens):
            parts = f"model {need.model:.1f} + context {need.context:.1f} + Ollama {OLLAMA:.1f}"
            yield name, need.sum + (OLLAMA + system), f"{parts} + system {system:.1f}" if system else parts, room


def _preloaded(
    settings: Settings,
    hardware: Hardware,
    need_of: Callable[[str, Mapping[str, float], int], Need | None],
    system: float,
    gpu: int,
) -> Iterator[tuple[list[str], float, str, AvailableMemory]]:
    """The preloaded models together, like `_needs`, if there are several of known size."""
    if not hardware.memory:
        return
    room = available_memory(settings, hardware, gpu)
    system = 0 if room.is_limited else system
    loads = {name_key(name): (model, tokens) for name, model, tokens in _loads(settings)}
    needs: dict[str, Need] = {}
    for name in settings.ollama_preload:
        model, tokens = loads[name_key(name)]
        if need := need_of(model, settings.ollama_model_sizes_gb, tokens):
            needs[name] = need
    if len(needs) > 1:
        parts = " + ".join(f"{name} {need.sum:.1f}" for name, need in needs.items())
        parts += f" + Ollama {OLLAMA:.1f}" + (f" + system {system:.1f}" if system else "")
        yield list(needs), sum(need.sum for need in needs.values()) + OLLAMA + system, parts, room


def _loads(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, model with its weights, tokens in all contexts) for each model that users may load."""
    for model in dict.fromkeys(settings.ollama_models):
        yield model, model, _tokens(settings)
    for name, variant in settings.ollama_model_variants.items():
        length = variant.parameters.get("num_ctx", settings.ollama_context_length)
        yield name, variant.base_model(name), length * settings.ollama_num_parallel


def _weights(name: str, settings: Settings) -> str:
    variant = settings.ollama_model_variants.get(name)
    return variant.base_model(name) if variant else name


def _setting_of(name: str, settings: Settings) -> str:
    return "ollama_model_variants" if name in settings.ollama_model_variants else "ollama_models"


def _tokens(settings: Settings) -> int:
    return settings.ollama_context_length * settings.ollama_num_parallel


def _has(room: AvailableMemory) -> str:
    has = f"{room.limit} allows {room.memory:.1f} GB" if room.is_limited else f"the host has {room.memory:.1f} GB"
    if room.gpu:
        has += f", its GPU {room.gpu:.1f} GB"
    if room.swap < 0.05:
        return f"{has}, without swap"
    zram = f", {room.swap_in_memory:.1f} of it in memory (zram)" if room.swap_in_memory >= 0.05 else ""
    return f"{has} and {room.swap:.1f} GB of swap{zram}"


def _instead(settings: Settings, room: AvailableMemory) -> str:
    """The largest model that fits: of those in the settings, otherwise of common ones that this Ollama supports."""
    overhead = OLLAMA + (0 if room.is_limited else SYSTEM_TYPICAL)

    def needs(model: str) -> float:
        return likely_need(model, settings.ollama_model_sizes_gb, _tokens(settings)).sum + overhead

    listed = [model for model in settings.ollama_models if needs(model) <= room.in_memory]
    current = [model for model in COMMON if not needs_newer(model, settings.ollama_image)]
    common = [model for model in current if needs(model) <= room.in_memory]
    if listed:
        return f"of the models listed, the largest that fits is {max(listed, key=needs)}"
    if common:
        return f"of common models, the largest that fits is {common[0]}"
    return "no common model fits; a shorter ollama_context_length needs less"


def _swap_advice(hardware: Hardware) -> str:
    """Where swap is configured on a Raspberry Pi, depending on its release."""
    if not hardware.is_pi:
        return ""
    if any(swap.in_memory for swap in hardware.swaps):
        return ". (Swap is zram, configured by rpi-swap: `man 5 swap.conf` on the Pi shows how to add a swap file)"
    if any(swap.path == "/var/swap" for swap in hardware.swaps):
        return ". (Swap is /var/swap, configured by CONF_SWAPSIZE in /etc/dphys-swapfile)"
    return ""
