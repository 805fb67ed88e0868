"""Sizes of models: disk space, and the likely and minimum memory needed. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hearth.settings.model_names import name_key

GB = 10**9
# Sizes in GB of models in Ollama's library (docs/versions.md has the sources).
LIBRARY = {
    "codellama": 3.8,
    "deepseek-r1": 5.2,
    "deepseek-r1:1.5b": 1.1,
    "deepseek-r1:14b": 9.0,
    "deepseek-r1:32b": 20.0,
    "deepseek-r1:671b": 404.0,
    "deepseek-r1:70b": 43.0,
    "deepseek-r1:7b": 4.7,
    "deepseek-r1:8b": 5.2,
    "embeddinggemma": 0.622,
    "gemma2": 5.5,
    "gemma2:27b": 16.0,
    "gemma2:2b": 1.6,
    "gemma3": 3.3,
    "gemma3:12b": 8.1,
    "gemma3:1b": 0.815,
    "gemma3:270m": 0.292,
    "gemma3:27b": 17.0,
    "gemma3:4b": 3.3,
    "gemma3n": 7.5,
    "gemma3n:e2b": 5.6,
    "gemma3n:e4b": 7.5,
    "gemma4": 6.6,
    "gemma4:12b": 7.6,
    "gemma4:26b": 17.0,
    "gemma4:31b": 20.0,
    "gemma4:e2b": 4.6,
    "gemma4:e4b": 6.6,
    "gpt-oss": 14.0,
    "gpt-oss:120b": 65.0,
    "gpt-oss:20b": 14.0,
    "lfm2.5-thinking": 0.731,
    "lfm2.5-thinking:1.2b": 0.731,
    "lfm2.5:8b": 5.2,
    "llama2-uncensored": 3.8,
    "llama3.1": 4.9,
    "llama3.1:405b": 231.0,
    "llama3.1:70b": 40.0,
    "llama3.1:8b": 4.9,
    "llama3.2": 2.0,
    "llama3.2-vision": 7.9,
    "llama3.2-vision:90b": 55.0,
    "llama3.2:1b": 1.3,
    "llama3.2:3b": 2.0,
    "llama3.3": 43.0,
    "llava": 4.5,
    "ministral-3:3b": 3.0,
    "ministral-3:8b": 6.0,
    "mistral": 4.4,
    "mistral:7b": 4.4,
    "moondream": 0.829,
    "neural-chat": 4.1,
    "nomic-embed-text": 0.274,
    "phi3": 2.3,
    "phi3:medium": 7.9,
    "phi4": 9.1,
    "phi4-mini": 2.5,
    "qwen2.5:0.5b": 0.398,
    "qwen2.5:1.5b": 0.986,
    "qwen2.5:3b": 1.9,
    "qwen2.5:7b": 4.7,
    "qwen3": 5.2,
    "qwen3-vl:2b": 1.9,
    "qwen3-vl:4b": 3.3,
    "qwen3-vl:8b": 6.1,
    "qwen3.5": 6.6,
    "qwen3.5:0.8b": 1.0,
    "qwen3.5:2b": 2.7,
    "qwen3.5:4b": 3.4,
    "qwen3.5:9b": 6.6,
    "qwen3:0.6b": 0.523,
    "qwen3:1.7b": 1.4,
    "qwen3:14b": 9.3,
    "qwen3:30b": 19.0,
    "qwen3:32b": 20.0,
    "qwen3:4b": 2.5,
    "qwen3:8b": 5.2,
    "qwq": 20.0,
    "smollm2": 1.8,
    "smollm2:1.7b": 1.8,
    "smollm2:135m": 0.271,
    "smollm2:360m": 0.726,
    "solar": 6.1,
    "starling-lm": 4.1,
}
# Models to suggest, the largest first.
COMMON = (
    *("gpt-oss:20b", "qwen3.5:9b", "gemma4:e4b", "qwen3:8b", "gemma4:e2b", "qwen3.5:4b", "qwen3:4b"),
    *("llama3.2:3b", "qwen3:1.7b", "llama3.2:1b", "gemma3:1b", "qwen3:0.6b", "smollm2:135m"),
)
# Ollama's library stores models with about 4.5 bits a weight; what comes with them is counted by the constant.
_BYTES_PER_WEIGHT = 0.7
_BASE_GB = 0.4
# A name without a size ("mistral") mostly means 7 to 8 billion weights.
_UNKNOWN_GB = 5.0
_WEIGHTS = re.compile(r"(?:^|[:\-_])(?:([0-9]+)x)?([0-9]+(?:\.[0-9]+)?)([bm])(?:$|[:\-_])")
# A listed size may be from an earlier file of the same name.
_LISTED_MINIMUM = 0.9
# Minimum bytes per weight, by the quantisation in the name. Without one, it is about 4.5 bits; in "8x7b" some weights
# are shared between the experts (26 GB for 56 billion).
_MINIMUM_BYTES = {"1": 0.18, "2": 0.25, "3": 0.35, "4": 0.45, "5": 0.55, "6": 0.7, "8": 0.95, "16": 1.9}
_QUANTISATION = re.compile(r"(?:^|[:\-_.])(?:(?:i?q|ud-i?q)([1-8])|[fb]{1,2}(16))(?:$|[:\-_.])")
# The context (KV cache): bytes per token for each GB of the model. Minimum: qwen2.5:7b has 12 kB, models with experts
# or a sliding window less. Typical: llama3.2:1b and llama3.1:8b have 25 to 27 kB, llama3.2:3b 56.
_CONTEXT_MINIMUM, _CONTEXT_MINIMUM_CAP, _CONTEXT_TYPICAL = 4096, 49152, 30720


@dataclass(frozen=True)
class Need:
    """GB of memory that a model needs: its weights, and the context that it is loaded with."""

    model: float
    context: float

    @property
    def sum(self) -> float:
        return self.model + self.context


def download_size(name: str, sizes: Mapping[str, float]) -> float:
    """GB of a model: from the setting `ollama_model_sizes_gb`, else of Ollama's library, else guessed from its name."""
    if name in sizes:
        return sizes[name]
    listed = _listed(name)
    return guessed_size(name) if listed is None else listed


def guessed_size(name: str) -> float:
    """GB of a model, by its name: "llama3.2:1b" → 1.1, "qwen2.5:0.5b" → 0.75, "gemma3:270m" → 0.6.

    It decides only whether preflight lets the deploy begin.
    """
    weights = billion_weights(name)
    return _UNKNOWN_GB if weights is None else _BASE_GB + _BYTES_PER_WEIGHT * weights


def billion_weights(name: str) -> float | None:
    """Billions of weights that a model's name tells of: "qwen2.5:0.5b" → 0.5, "mixtral:8x7b" → 56 (eight experts)."""
    match = _WEIGHTS.search(name.lower())
    return match and int(match[1] or 1) * float(match[2]) / (1 if match[3] == "b" else 1000)


def likely_need(name: str, sizes: Mapping[str, float], tokens: int) -> Need:
    """The best estimate of a model's memory need.

    Args:
        sizes: the setting `ollama_model_sizes_gb`, which takes precedence.
        tokens: in all contexts of one model (`ollama_context_length` × `ollama_num_parallel`).
    """
    size = download_size(name, sizes)
    return Need(size, size * _CONTEXT_TYPICAL * tokens / GB)


def least_need(name: str, sizes: Mapping[str, float], tokens: int) -> Need | None:
    """The minimum memory need of a model; None if its name does not tell. Arguments as above."""
    listed = _listed(name)
    if name in sizes:
        size = sizes[name]
    elif listed is not None:
        size = listed * _LISTED_MINIMUM
    else:
        weights = billion_weights(name)
        if weights is None:
            return None
        size = weights * _minimum_bytes(name)
    return Need(size, min(size * _CONTEXT_MINIMUM, _CONTEXT_MINIMUM_CAP) * tokens / GB)


def _listed(name: str) -> float | None:
    key = name_key(name)
    return LIBRARY.get(key.removesuffix(":latest"))


def _minimum_bytes(name: str) -> float:
    found = [bits for match in _QUANTISATION.finditer(name.lower()) for bits in match.groups() if bits]
    return min((_MINIMUM_BYTES.get(bits, 0.18) for bits in found), default=_MINIMUM_BYTES["4"])
