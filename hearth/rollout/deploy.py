"""Deploys of gateways and their backends."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host, state
from pyinfra.api import deploy

from hearth.rollout import operations
from hearth.rollout.facts import Drained
from hearth.rollout.rollout import rollout_of
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


def begin_turn() -> None:
    """Call it between the operations that may run on all hosts at once, and those for which each host has its turn."""
    if rollout := rollout_of(state):
        rollout.own_steps[host.name] = len(host.op_hash_order)


def end_turn() -> None:
    """Call it before the operations that run on all hosts at once again, when all of them have had their turn."""
    if rollout := rollout_of(state):
        rollout.turn_ends[host.name] = len(host.op_hash_order)


@deploy("Pools")
def pools(settings: Settings, house: Mapping[str, Settings]) -> None:
    """The end of a gateway's deploy."""
    if settings.ollama_pools:
        operations.take_backends_back(name="Use the backends", settings=settings, house=house)


def pools_queries(settings: Settings) -> list[Query]:
    """The facts that the operation of `pools` asks for."""
    return [(Drained, {})] if settings.ollama_pools else []
