"""Explanations: what changes for the GPU, and why."""

from __future__ import annotations

from hearth.gpu.facts import PACKAGE, ToolkitState
from hearth.runtime.text import are_missing


def describe_toolkit(state: ToolkitState, repository: str) -> str:
    """What differs, and what is done about it; "" if nothing does."""
    if not state.has_ctk or state.half_installed:
        return f"{are_missing([PACKAGE], 'installing')} from {repository}, for the containers' access to the GPU"
    if not state.is_described:
        return "no CDI specification describes the GPU for containers; generating it"
    if not state.is_current:
        return "the CDI specification of the GPU is for another version of its driver; generating it again"
    return ""


def describe_gpu_loss(evidence: str, wanted: str) -> str:
    """What a deploy does if the GPU is not used any more."""
    return f'ollama_gpu = "{wanted}", but Ollama computes on the processor: {evidence}; restarting Ollama'
