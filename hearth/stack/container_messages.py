"""What is wrong with containers and what is done about it, in words."""

from __future__ import annotations

from collections.abc import Sequence

from hearth.paths import CONTAINERS
from hearth.runtime.text import are_missing, join_words
from hearth.stack.containers import Drift


def describe_containers(drift: Sequence[Drift]) -> list[str]:
    """One sentence for each container: all that is wrong with it, and what is done."""
    by_name: dict[str, list[Drift]] = {}
    for one in drift:
        by_name.setdefault(one.name, []).append(one)
    if len(by_name) > 1 and all(one.what == "is missing" for one in drift):
        return [are_missing(sorted(by_name), "creating and starting")]
    return [f"{name} {join_words(one.what for one in some)}; it is {_deed(some)}" for name, some in by_name.items()]


def _deed(drift: Sequence[Drift]) -> str:
    remedies = {one.remedy for one in drift}
    whats = " / ".join(one.what for one in drift)
    if "remove" in remedies:
        return "removed and made anew" if drift[0].name in CONTAINERS.values() else "removed"
    if "belongs to no service" in whats:
        return "removed"
    if "recreate" in remedies or "another" in whats:
        return "recreated"
    if "is missing" in whats:
        return "made and started"
    return "waited for" if "still starting" in whats else "started"
