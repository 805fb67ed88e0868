"""Whether models fit into a host's memory: what is refused, and what is told. Pure rules.

Ollama 0.17.4 loads a model where it fits into the memory that is free and the free swap together, and answers "model
requires more system memory" else (llm/server.go). It does so after the download. 0.32.15 has no such check for a host
without a graphics card: its runner reads what does not fit from the disk again, or is killed (docs/versions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hearth.host.hardware import Hardware
from hearth.models.required_ollama import needs_newer
from hearth.models.sizes import COMMON, GB, Need, least_need, likely_need
from hearth.settings.model import Settings
from hearth.settings.types import size_in_bytes

# GB. Ollama's server and its runner, without a model: 0.07 measured (0.17.4, amd64).
OLLAMA = 0.1
# GB of the system with sshd, Docker and httpd: at the very least, and mostly. (Pi OS Lite alone has 0.23 in use, by
# https://github.com/geerlingguy/sbc-reviews/issues/110.)
SYSTEM_LEAST, SYSTEM_MOSTLY = 0.1, 0.3


@dataclass(frozen=True)
class Room:
    """GB of memory that a model with all around it can have, of swap, and what sets the limit, for a person."""

    memory: float
    swap: float
    swap_in_memory: float
    limit: str

    @property
    def is_limited(self) -> bool:
        return self.limit != ""


def room_for_models(settings: Settings, hardware: Hardware) -> Room:
    """What the host has for Ollama. The setting's limit counts only where the kernel obeys it."""
    memory, limit = hardware.memory / GB, ""
    if settings.ollama_memory_limit and hardware.counts_memory:
        allowed = size_in_bytes(settings.ollama_memory_limit) / GB
        if allowed < memory:
            memory, limit = allowed, f"ollama_memory_limit = {settings.ollama_memory_limit!r}"
    return Room(
        memory,
        sum(swap.size for swap in hardware.swaps) / GB,
        sum(swap.size for swap in hardware.swaps if swap.in_memory) / GB,
        limit,
    )


def memory_obstacles(settings: Settings, hardware: Hardware) -> list[str]:
    """A sentence for each model that can't possibly run here, with the arithmetic and what would."""
    return [
        f"ollama_models: {model} can't run here: it needs at least {total:.1f} GB ({parts}), and {_has(room)}; "
        f'{_instead(settings, room)}. Where the guess is wrong: ollama_model_sizes_gb = {{"{model}": …}}'
        for model, total, parts, room in _needs(settings, hardware, least_need, SYSTEM_LEAST)
        if total > room.memory + room.swap
    ]


def memory_warnings(settings: Settings, hardware: Hardware) -> list[str]:
    """A sentence for each model that may run, but not well: it does not fit into memory with what else is there."""
    return [
        f"{model} is tight here: it wants about {total:.1f} GB ({parts}), and {_has(room)}. What does not fit is read "
        f"from the disk again for each word, or Ollama refuses the model; {_instead(settings, room)}"
        f"{_swap_advice(hardware)}"
        for model, total, parts, room in _needs(settings, hardware, likely_need, SYSTEM_MOSTLY)
        if total > room.memory
    ]


def _needs(
    settings: Settings,
    hardware: Hardware,
    need_of: Callable[[str, Mapping[str, float], int], Need | None],
    system: float,
) -> Iterator[tuple[str, float, str, Room]]:
    """(model, GB that it needs with all around it, what these are made of, the room for it) for each model.

    Nothing for models, and on hosts, of which the size is unknown.

    Args:
        need_of: `least_need` or `likely_need`.
        system: GB of the system, which count where no limit sets the room.
    """
    if not hardware.memory:
        return
    room = room_for_models(settings, hardware)
    system = 0 if room.is_limited else system
    for model in dict.fromkeys(settings.ollama_models):
        if need := need_of(model, settings.ollama_model_sizes_gb, _tokens(settings)):
            parts = f"model {need.model:.1f} + context {need.context:.1f} + Ollama {OLLAMA:.1f}"
            yield model, need.sum + (OLLAMA + system), f"{parts} + system {system:.1f}" if system else parts, room


def _tokens(settings: Settings) -> int:
    return settings.ollama_context_length * settings.ollama_num_parallel


def _has(room: Room) -> str:
    has = f"{room.limit} lets it have {room.memory:.1f} GB" if room.is_limited else f"the host has {room.memory:.1f} GB"
    if room.swap < 0.05:
        return f"{has}, without swap"
    zram = f", {room.swap_in_memory:.1f} of it in memory itself (zram)" if room.swap_in_memory >= 0.05 else ""
    return f"{has} and {room.swap:.1f} GB of swap{zram}"


def _instead(settings: Settings, room: Room) -> str:
    """The largest model that fits: of those listed in the settings, else of common ones that this Ollama can have."""
    around = OLLAMA + (0 if room.is_limited else SYSTEM_MOSTLY)

    def needs(model: str) -> float:
        return likely_need(model, settings.ollama_model_sizes_gb, _tokens(settings)).sum + around

    listed = [model for model in settings.ollama_models if needs(model) <= room.memory]
    current = [model for model in COMMON if not needs_newer(model, settings.ollama_image)]
    common = [model for model in current if needs(model) <= room.memory]
    if listed:
        return f"of the models listed, the largest that fits is {max(listed, key=needs)}"
    if common:
        return f"of common models, the largest that fits is {common[0]}"
    return "no common model fits; a shorter ollama_context_length takes less"


def _swap_advice(hardware: Hardware) -> str:
    """Where swap is set on a Raspberry Pi, by what its release does."""
    if not hardware.is_pi:
        return ""
    if any(swap.in_memory for swap in hardware.swaps):
        return ". (Swap is zram here, as rpi-swap makes it: `man 5 swap.conf` on the Pi says how to have a file, too)"
    if any(swap.place == "/var/swap" for swap in hardware.swaps):
        return ". (Swap is /var/swap here, as dphys-swapfile makes it: CONF_SWAPSIZE in /etc/dphys-swapfile)"
    return ""
