"""How much memory a model wants: what is known, what is guessed from its name, what it takes at least. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hearth.disk import GB, billion_weights, model_gb
from hearth.model_names import name_key

# GB of models as Ollama's library has them (the table in Ollama's README, before it was taken out in 2025).
LIBRARY = {
    "codellama": 3.8,
    "deepseek-r1": 4.7,
    "deepseek-r1:671b": 404.0,
    "gemma2": 5.5,
    "gemma2:27b": 16.0,
    "gemma2:2b": 1.6,
    "gemma3": 3.3,
    "gemma3:12b": 8.1,
    "gemma3:1b": 0.815,
    "gemma3:27b": 17.0,
    "gemma3:4b": 3.3,
    "llama2-uncensored": 3.8,
    "llama3.1": 4.7,
    "llama3.1:405b": 231.0,
    "llama3.1:70b": 40.0,
    "llama3.1:8b": 4.7,
    "llama3.2": 2.0,
    "llama3.2-vision": 7.9,
    "llama3.2-vision:90b": 55.0,
    "llama3.2:1b": 1.3,
    "llama3.2:3b": 2.0,
    "llama3.3": 43.0,
    "llava": 4.5,
    "mistral": 4.1,
    "moondream": 0.829,
    "neural-chat": 4.1,
    "phi3": 2.3,
    "phi3:medium": 7.9,
    "phi4": 9.1,
    "phi4-mini": 2.5,
    "qwq": 20.0,
    "solar": 6.1,
    "starling-lm": 4.1,
}
# Models to suggest, the largest first.
COMMON = ("llama3.1:8b", "gemma3:4b", "llama3.2:3b", "llama3.2:1b", "gemma3:1b", "qwen2.5:0.5b")
# A listed size may be that of an earlier file under the same name.
_LISTED_AT_LEAST = 0.9
# Bytes a weight, at least, by what the name says of the quantisation. Without a word on it, it is one of about 4.5
# bits; of "8x7b" a part is shared between the experts (26 GB for 56 billion).
_LEAST_BYTES = {"1": 0.18, "2": 0.25, "3": 0.35, "4": 0.45, "5": 0.55, "6": 0.7, "8": 0.95, "16": 1.9}
_QUANTISATION = re.compile(r"(?:^|[:\-_.])(?:(?:i?q|ud-i?q)([1-8])|[fb]{1,2}(16))(?:$|[:\-_.])")
# The context (KV cache): bytes a token for each GB of the model. At least: qwen2.5:7b has 12 kB, models with experts or
# a sliding window less. Mostly: llama3.2:1b and llama3.1:8b have 25 to 27 kB, llama3.2:3b 56.
_CONTEXT_LEAST, _CONTEXT_LEAST_CAP, _CONTEXT_MOSTLY = 4096, 49152, 30720


@dataclass(frozen=True)
class Need:
    """GB of memory that a model wants: its weights, and the context that it is loaded with."""

    model: float
    context: float

    @property
    def sum(self) -> float:
        return self.model + self.context


def likely_need(name: str, sizes: Mapping[str, float], tokens: int) -> Need:
    """What a model will want, by the best guess.

    Args:
        sizes: the setting `ollama_model_sizes_gb`, which wins.
        tokens: of all contexts that one model has (`ollama_context_length` × `ollama_num_parallel`).
    """
    listed = _listed(name)
    size = sizes[name] if name in sizes else model_gb(name, {}) if listed is None else listed
    return Need(size, size * _CONTEXT_MOSTLY * tokens / GB)


def least_need(name: str, sizes: Mapping[str, float], tokens: int) -> Need | None:
    """What a model wants at the very least; None where its name says nothing about it. As above."""
    listed = _listed(name)
    if name in sizes:
        size = sizes[name]
    elif listed is not None:
        size = listed * _LISTED_AT_LEAST
    else:
        weights = billion_weights(name)
        if weights is None:
            return None
        size = weights * _least_bytes(name)
    return Need(size, min(size * _CONTEXT_LEAST, _CONTEXT_LEAST_CAP) * tokens / GB)


def _listed(name: str) -> float | None:
    key = name_key(name)
    return LIBRARY.get(key.removesuffix(":latest"))


def _least_bytes(name: str) -> float:
    said = [bits for match in _QUANTISATION.finditer(name.lower()) for bits in match.groups() if bits]
    return min((_LEAST_BYTES.get(bits, 0.18) for bits in said), default=_LEAST_BYTES["4"])
