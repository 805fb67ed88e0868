"""What a run records about each host for its summary: versions, model sizes, the reason of a failure."""

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
    """What a run has recorded about a host."""

    prepared: bool = False
    settings: Settings | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    sizes: dict[str, str] = field(default_factory=dict)
    docker: str = ""
    local_name: str = ""


_journals: WeakKeyDictionary[State, dict[str, HostJournal]] = WeakKeyDictionary()


def journal_of(state: State, name: str) -> HostJournal:
    return _journals.setdefault(state, {}).setdefault(name, HostJournal())


def current_journal() -> HostJournal:
    return journal_of(ctx_state.get(), host.name)  # type: ignore[no-untyped-call]


def record_versions(sizes: Mapping[str, str] | None = None, docker: str = "") -> None:
    """Record the current host's model sizes (by full name) and engine version."""
    known = current_journal()
    known.sizes |= sizes or {}
    known.docker = docker or known.docker


def record_local_name(name: str) -> None:
    """Record the name by which the current host is announced on its network."""
    current_journal().local_name = name


def record_failure(one: Host, lines: Iterable[str]) -> None:
    """Record the output of a failure on a host; the summary shows the last lines."""
    state = one.state
    journal_of(state, one.name).reasons = [line.strip() for line in lines if line.strip()][-3:]
