"""What operations say before they begin: why images, containers and models differ, or why nobody can tell yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pyinfra import host

from hearth.docker.reachability import Answers, AnswersState
from hearth.models.plan import Task
from hearth.paths import CONTAINERS
from hearth.runtime.explain import explain, is_preparing, is_to_be_put
from hearth.runtime.text import about_containers, listed, there
from hearth.stack.container_facts import ProjectState
from hearth.stack.containers import TOO_LIMITED, UNLIMITED, Drift
from hearth.stack.image_facts import ImagesState

_SILENT = "the Docker engine does not answer, so what it has can't be known"


def explain_images(state: ImagesState, missing: Sequence[str], unrecorded: Collection[str]) -> None:
    """Say which images are pulled, and why."""
    if not state.present and missing and _answers().engine == "silent":
        explain(_SILENT, kind="unknown")
        return
    if absent := [one for one in missing if one not in state.present and one not in state.unfinished]:
        explain(f"{there(absent)} pulled")
    for reference in missing:
        if reference in state.unfinished:
            explain(f"{reference}: its pull was cut off; it is taken up again")
        elif reference in state.present:
            explain(f"{reference} leads to another image than the one that was pulled; it is pulled again")
    if unrecorded:
        explain(f"{listed(unrecorded)}: on the host already, and written down as Hearth's")


def explain_containers(state: ProjectState, drift: Sequence[Drift]) -> None:
    """Say what becomes of which container, and why."""
    if not state.hashes:
        answers = _answers()
        if answers.engine == "silent":
            explain(_SILENT, kind="unknown")
        elif not state.containers and not answers.ollama:
            explain(f"{there(sorted(CONTAINERS.values()))} made and started")
        else:
            explain("compose.yaml is missing or broken; the containers are made what the one that is put says")
        return
    if is_to_be_put("compose.yaml"):
        # What they were made from was compared with a file that is about to be replaced.
        replaced = ("was made from another configuration", UNLIMITED, TOO_LIMITED)
        drift = [one for one in drift if one.what not in replaced]
    explain(*about_containers(drift))
    if state.reload_pending:
        explain("httpd has not taken over its new configuration yet; it reloads gracefully, nothing is cut")


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
    if not present and (answers := _answers()).engine != "absent" and answers.ollama != "answers":
        why = "the Docker engine does not answer" if answers.engine == "silent" else "Ollama does not answer"
        explain(f"{why}, so it can't be known whether it has {listed(missing)}", kind="unknown")
        return
    explain(f"{there(missing)} pulled")


def explain_unlisted(models: Sequence[str]) -> None:
    """Say which models are removed."""
    explain(f"{listed(models)}: not listed in ollama_models, and ollama_prune_models = True; removed")


def _answers() -> AnswersState:
    """Who can be asked. Only while preparing: what executes has asked, and got an answer or an error."""
    return host.get_fact(Answers) if is_preparing() else AnswersState("answers", "answers")
