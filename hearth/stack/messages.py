"""Explanations by operations: why images and containers differ, or why that is unknown."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hearth.docker.reachability import ENGINE_SILENT, find_reachability
from hearth.paths import CONTAINERS
from hearth.runtime.explain import explain, will_be_written
from hearth.runtime.text import are_missing, join_words
from hearth.stack.container_facts import ProjectState
from hearth.stack.container_messages import describe_containers
from hearth.stack.containers import TOO_LIMITED, UNLIMITED, Drift
from hearth.stack.image_facts import ImagesState


def explain_images(state: ImagesState, missing: Sequence[str], unrecorded: Collection[str]) -> None:
    """Explain which images are pulled, and why."""
    if not state.present and missing and find_reachability().engine == "silent":
        explain(ENGINE_SILENT, kind="unknown")
        return
    if absent := [one for one in missing if one not in state.present and one not in state.unfinished]:
        explain(are_missing(absent, "pulling"))
    for reference in missing:
        if reference in state.unfinished:
            explain(f"the pull of {reference} was interrupted; resuming it")
        elif reference in state.present:
            explain(f"{reference} is not the image that was pulled; pulling it again")
    if unrecorded:
        pronoun = "it" if len(unrecorded) == 1 else "them"
        explain(f"{join_words(unrecorded)}: already on the host; recording {pronoun} as Hearth's")


def explain_containers(
    state: ProjectState, drift: Sequence[Drift], services: Collection[str] = tuple(CONTAINERS)
) -> None:
    """Explain what is done about each container, and why.

    Args:
        services: those of compose.yaml.
    """
    if not state.hashes:
        reachability = find_reachability()
        if reachability.engine == "silent":
            explain(ENGINE_SILENT, kind="unknown")
        elif not state.containers and not reachability.ollama:
            explain(are_missing(sorted(CONTAINERS[one] for one in services), "creating and starting"))
        else:
            explain("compose.yaml is missing or broken; rewriting it and updating the containers")
        return
    if will_be_written("compose.yaml"):
        # These differences refer to a file that is about to be replaced.
        replaced = ("was created from a different configuration", UNLIMITED, TOO_LIMITED)
        drift = [one for one in drift if one.what not in replaced]
    explain(*describe_containers(drift))
    if state.reload_pending:
        explain("httpd has not loaded its new configuration yet; it reloads gracefully, nothing is cut")
