"""Messages about drifted containers and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from hearth.paths import CONTAINERS
from hearth.runtime.text import are_missing, join_words
from hearth.stack.containers import Drift


def describe_containers(drift: Sequence[Drift]) -> list[str]:
    """One message per container: all its differences, and the remedy."""
    by_name: dict[str, list[Drift]] = {}
    for one in drift:
        by_name.setdefault(one.name, []).append(one)
    if len(by_name) > 1 and all(one.what == "is missing" for one in drift):
        return [are_missing(sorted(by_name), "creating and starting")]
    return [f"{name} {join_words(one.what for one in some)}; {_remedy(some)} it" for name, some in by_name.items()]


def _remedy(drift: Sequence[Drift]) -> str:
    remedies = {one.remedy for one in drift}
    whats = " / ".join(one.what for one in drift)
    if "remove" in remedies:
        return "removing and recreating" if drift[0].name in CONTAINERS.values() else "removing"
    if "no longer belongs" in whats:
        return "removing"
    if "recreate" in remedies or "different" in whats:
        return "recreating"
    if "is missing" in whats:
        return "creating and starting"
    return "waiting for" if "still starting" in whats else "starting"
