"""What operations say before they begin: why images, containers and models differ, or why nobody can tell yet."""

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
    """Say which images are pulled, and why."""
    if not state.present and missing and find_reachability().engine == "silent":
        explain(ENGINE_SILENT, kind="unknown")
        return
    if absent := [one for one in missing if one not in state.present and one not in state.unfinished]:
        explain(are_missing(absent, "pulling"))
    for reference in missing:
        if reference in state.unfinished:
            explain(f"{reference}: its pull was cut off; it is taken up again")
        elif reference in state.present:
            explain(f"{reference} leads to another image than the one that was pulled; it is pulled again")
    if unrecorded:
        explain(f"{join_words(unrecorded)}: on the host already, and written down as Hearth's")


def explain_containers(state: ProjectState, drift: Sequence[Drift]) -> None:
    """Say what becomes of which container, and why."""
    if not state.hashes:
        answers = find_reachability()
        if answers.engine == "silent":
            explain(ENGINE_SILENT, kind="unknown")
        elif not state.containers and not answers.ollama:
            explain(are_missing(sorted(CONTAINERS.values()), "creating and starting"))
        else:
            explain("compose.yaml is missing or broken; the containers are made what the one that is put says")
        return
    if will_be_written("compose.yaml"):
        # What they were made from was compared with a file that is about to be replaced.
        replaced = ("was made from another configuration", UNLIMITED, TOO_LIMITED)
        drift = [one for one in drift if one.what not in replaced]
    explain(*describe_containers(drift))
    if state.reload_pending:
        explain("httpd has not taken over its new configuration yet; it reloads gracefully, nothing is cut")
