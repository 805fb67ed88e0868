"""Why models are pulled or removed, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hearth.docker.reachability import find_reachability
from hearth.models.plan import Task
from hearth.runtime.explain import explain
from hearth.runtime.text import are_missing, join_words


def explain_models(present: Collection[str], tasks: Sequence[Task]) -> None:
    """Say which models are pulled, and why."""
    for task in tasks:
        if task.what == "update":
            explain(f"{task.model} was changed in the registry under its name; it is pulled again")
        elif task.what != "pull":
            explain(f"the pull of {task.model} was cut off; what is there is compared with its digests")
    missing = [task.model for task in tasks if task.what == "pull"]
    if not missing:
        return
    if not present and (answers := find_reachability()).engine != "absent" and answers.ollama != "answers":
        why = "the Docker engine does not answer" if answers.engine == "silent" else "Ollama does not answer"
        explain(f"{why}, so it can't be known whether it has {join_words(missing)}", kind="unknown")
        return
    explain(are_missing(missing, "pulling"))


def explain_unlisted(models: Sequence[str]) -> None:
    """Say which models are removed."""
    explain(f"{join_words(models)}: not listed in ollama_models, and ollama_prune_models = True; removed")
