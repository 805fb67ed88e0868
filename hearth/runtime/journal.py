"""What a run remembers of each host until its end: versions, model sizes, the reason of a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra import host
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_state

from hearth.settings.model import Settings


@dataclass
class HostJournal:
    """What a run has learned of a host."""

    prepared: bool = False
    settings: Settings | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    sizes: dict[str, str] = field(default_factory=dict)
    docker: str = ""


_journals: WeakKeyDictionary[State, dict[str, HostJournal]] = WeakKeyDictionary()


def journal_of(state: State, name: str) -> HostJournal:
    return _journals.setdefault(state, {}).setdefault(name, HostJournal())


def current_journal() -> HostJournal:
    return journal_of(ctx_state.get(), host.name)  # type: ignore[no-untyped-call]


def record_versions(sizes: Mapping[str, str] | None = None, docker: str = "") -> None:
    """What an operation has seen of the current host: models' full names to sizes, the engine's version."""
    known = current_journal()
    known.sizes |= sizes or {}
    known.docker = docker or known.docker


def record_failure(one: Host, lines: Iterable[str]) -> None:
    """What a host said when something failed there; the last of it is told at the end."""
    state = one.state
    journal_of(state, one.name).reasons = [line.strip() for line in lines if line.strip()][-3:]
