"""Explanations: why models are pulled or removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hearth.docker.reachability import find_reachability
from hearth.models.plan import Task
from hearth.models.variants import MISSING
from hearth.runtime.explain import explain
from hearth.runtime.text import are_missing, join_words


def explain_models(present: Collection[str], tasks: Sequence[Task]) -> None:
    """Explain which models are pulled, and why."""
    for task in tasks:
        if task.what == "update":
            explain(f"{task.model} has changed in the registry; pulling it again")
        elif task.what != "pull":
            explain(f"the pull of {task.model} was interrupted; verifying its files")
    missing = [task.model for task in tasks if task.what == "pull"]
    if not missing:
        return
    if present or not _explain_silence(missing):
        explain(are_missing(missing, "pulling"))


def _explain_silence(models: Sequence[str]) -> bool:
    """Explain that it is unknown whether the host has these models, if Ollama does not respond."""
    reachability = find_reachability()
    if reachability.engine == "absent" or reachability.ollama == "answers":
        return False
    silent, owner = ("the Docker engine", "Ollama") if reachability.engine == "silent" else ("Ollama", "it")
    explain(f"{silent} does not respond, so it is unknown whether {owner} has {join_words(models)}", kind="unknown")
    return True


def explain_unlisted(models: Sequence[str]) -> None:
    """Explain which models are removed."""
    pronoun = "it" if len(models) == 1 else "them"
    explain(f"{join_words(models)}: not listed in ollama_models, and ollama_prune_models = True; removing {pronoun}")


def explain_variants(present: Collection[str], differences: Mapping[str, Sequence[str]]) -> None:
    """Explain which variants are created, and why.

    Args:
        present: those of the variants and their base models that the host has.
        differences: name of a variant → what differs.
    """
    if not present and _explain_silence(list(differences)):
        return
    for name, reasons in differences.items():
        if list(reasons) == MISSING:
            explain(f"{name} is missing; creating it")
        else:
            explain(f"{name} differs from ollama_model_variants in {join_words(list(reasons))}; creating it again")
