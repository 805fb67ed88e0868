"""Disk space needed by images and models."""

from __future__ import annotations

import re
from collections.abc import Mapping

GB = 10**9
# Models in Ollama's library have about 4.5 bits per weight; the constant covers everything else.
_BYTES_PER_WEIGHT = 0.7
_BASE_GB = 0.4
# A name without a size ("mistral") usually means 7 to 8 billion weights.
_UNKNOWN_GB = 5.0
_WEIGHTS = re.compile(r"(?:^|[:\-_])(?:([0-9]+)x)?([0-9]+(?:\.[0-9]+)?)([bm])(?:$|[:\-_])")


def model_gb(name: str, sizes: Mapping[str, float]) -> float:
    """Size of a model in GB: from the setting `ollama_model_sizes_gb`, else estimated from its name.

    "llama3.2:1b" → 1.1, "qwen2.5:0.5b" → 0.75, "gemma3:270m" → 0.6. Only an estimate for preflight's decision whether "
    "the deploy may start.
    """
    if name in sizes:
        return sizes[name]
    weights = billion_weights(name)
    return _UNKNOWN_GB if weights is None else _BASE_GB + _BYTES_PER_WEIGHT * weights


def billion_weights(name: str) -> float | None:
    """Billions of weights according to a model's name: "qwen2.5:0.5b" → 0.5, "mixtral:8x7b" → 56 (eight experts)."""
    match = _WEIGHTS.search(name.lower())
    return match and int(match[1] or 1) * float(match[2]) / (1 if match[3] == "b" else 1000)
