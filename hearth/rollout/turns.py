"""The order of a run over gateways and backends, in place of pyinfra's: which is each operation on all hosts at once.

What takes long and interrupts nothing (packages, images) is done on all hosts at once. Then each host has its turn, and
what has to wait for all turns (a narrower firewall) comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.operations import _run_single_op
from pyinfra.api.state import State
from pyinfra.context import ctx_state

from hearth.rollout.rollout import Rollout, rollout_of
from hearth.rollout.rules import plan_turns
from hearth.runtime.journal import record_failure
from hearth.runtime.text import join_words


def install_turns() -> None:
    """Let pyinfra run the operations in this order, where hosts are gateways of others."""
    # Not at the top: this import patches the standard library.
    from pyinfra_cli import cli  # type: ignore[import-untyped]

    cli.run_ops = run_in_turns(cli.run_ops)


def run_in_turns(usual: Callable[..., None]) -> Callable[..., None]:
    """pyinfra's `run_ops` with this order; `usual` is the original, for all other runs."""

    def run_ops(state: State, **options: Any) -> None:
        rollout = rollout_of(state)
        if rollout is None:
            usual(state, **options)
            return
        state.is_executing = True
        with ctx_state.use(state):
            _run(state, rollout)

    return run_ops


def _run(state: State, rollout: Rollout) -> None:
    unreachable = set(state.failed_hosts)
    order: list[str] = state.get_op_order()  # type: ignore[no-untyped-call]
    together = {key for host in state.inventory for key in host.op_hash_order[: rollout.own_steps.get(host.name, 0)]}
    ends = rollout.turn_ends
    afterwards = {key for host in state.inventory for key in host.op_hash_order[ends.get(host.name, len(order)) :]}
    for key in order:
        if key in together:
            _run_single_op(state, key)
    marked = rollout.find_marked()
    # Before the turns: a backend that is drained for its own needs those of an interrupted run in use again.
    rollout.try_marked(marked)
    hosts = [one for one in state.inventory if one in state.active_hosts]
    for names in plan_turns(rollout.house, [one.name for one in hosts]):
        if failed := state.failed_hosts - unreachable:
            _leave(state, failed, afterwards)
            return
        turn = {one for one in hosts if one.name in names}
        _take_turn(state, turn, [key for key in order if key not in together | afterwards])
        for one in turn:
            if one.name in rollout.touched | marked and not rollout.take_back(one):
                state.failed_hosts.add(one)
    if not state.failed_hosts - unreachable:
        for key in order:
            if key in afterwards:
                _run_single_op(state, key)


def _take_turn(state: State, turn: Collection[Host], order: Sequence[str]) -> None:
    """Run these operations on these hosts alone."""
    others = state.active_hosts - set(turn)
    state.active_hosts = set(turn)
    try:
        for key in order:
            if any(key in state.ops[one] for one in state.active_hosts):
                _run_single_op(state, key)
    except PyinfraError as error:  # no host is left, or the user declined to continue with the others
        logger.debug(str(error))
    finally:
        state.active_hosts |= others


def _leave(state: State, failed: Collection[Host], afterwards: Collection[str]) -> None:
    """End the run before hosts that have not had their turn.

    Args:
        afterwards: operations that come after all turns.
    """
    names = join_words(sorted(one.name for one in failed))
    waiting = [one for one in state.active_hosts if not _has_had_turn(state, one, afterwards)]
    for one in waiting:
        record_failure(one, [f"{names} failed, so this host did not have its turn"])
    if waiting:
        logger.error(f"--> {names} failed; not changed: {join_words(sorted(one.name for one in waiting))}")


def _has_had_turn(state: State, host: Host, afterwards: Collection[str]) -> bool:
    return all(data.operation_meta.is_complete() for key, data in state.ops[host].items() if key not in afterwards)
