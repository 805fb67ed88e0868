"""The order of operations over gateways and backends, with pyinfra's own machinery and operations that only record."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api import Config, FunctionCommand, Inventory, State, operation
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_state

from hearth.rollout.rollout import begin_rollout
from hearth.rollout.turns import run_in_turns
from hearth.runtime.journal import journal_of
from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from tests.support.shipped import shipped_settings

GATEWAY, FIRST, SECOND = "10.0.0.1", "10.0.0.2", "10.0.0.3"
HOSTS = (GATEWAY, FIRST, SECOND)
Steps = list[tuple[str, str]]


def house(*, has_pools: bool) -> dict[str, Settings]:
    pools = {"default": [{"host": FIRST}, {"host": SECOND}]}
    roles: dict[str, dict[str, Any]] = {
        GATEWAY: {"host_role": "gateway", "ollama_pools": pools},
        FIRST: {"host_role": "backend"},
        SECOND: {"host_role": "backend"},
    }
    found = {name: shipped_settings(**(roles[name] if has_pools else {})) for name in HOSTS}
    return resolve_house(found, {name: name for name in HOSTS})


def deploy(steps: Steps, *, has_pools: bool = True, fails: tuple[str, str] = ("", "")) -> State:
    """Run four operations: the first and the last need no turn. `fails`: a host and an operation that fails there."""

    def record(state: State, host: Any, name: str) -> bool:  # noqa: ARG001
        steps.append((host.name, name))
        return (host.name, name) != fails

    @operation()
    def step(title: str) -> Generator[FunctionCommand, None, None]:
        yield FunctionCommand(record, (title,), {})

    state = State(Inventory((list(HOSTS), {})), Config())  # type: ignore[no-untyped-call]
    with ctx_state.use(state):
        for one in state.inventory:
            state.activate_host(one)
        state.set_stage(StateStage.Prepare)
        rollout = begin_rollout(state, house(has_pools=has_pools))
        for title in ("pull", "start", "accept", "narrow"):
            add_op(state, step, title, name=title)
            if rollout and title == "pull":
                rollout.own_steps = {one.name: len(one.op_hash_order) for one in state.inventory}
            if rollout and title == "accept":
                rollout.turn_ends = {one.name: len(one.op_hash_order) for one in state.inventory}
        state.set_stage(StateStage.Execute)
        run_in_turns(run_ops)(state)
    return state


def test_each_host_has_its_turn_and_the_gateway_the_last() -> None:
    steps: Steps = []
    state = deploy(steps)
    assert sorted(steps[:3]) == [(name, "pull") for name in HOSTS]
    assert steps[3:-3] == [(name, title) for name in (FIRST, SECOND, GATEWAY) for title in ("start", "accept")]
    assert sorted(steps[-3:]) == [(name, "narrow") for name in HOSTS]
    assert not state.failed_hosts
    assert {one.name for one in state.active_hosts} == set(HOSTS)


def test_a_failure_ends_the_run_before_the_next_turn() -> None:
    steps: Steps = []
    state = deploy(steps, fails=(FIRST, "start"))
    assert steps[3:] == [(FIRST, "start")]
    assert {one.name for one in state.failed_hosts} == {FIRST}
    for name in (SECOND, GATEWAY):
        assert journal_of(state, name).reasons == [f"{FIRST} failed, so this host did not have its turn"]


def test_a_failure_in_a_turn_leaves_what_comes_after_all_turns() -> None:
    """A host that had its turn is not reported as unchanged."""
    steps: Steps = []
    state = deploy(steps, fails=(SECOND, "start"))
    assert steps[3:] == [(FIRST, "start"), (FIRST, "accept"), (SECOND, "start")]
    assert journal_of(state, FIRST).reasons == []
    assert journal_of(state, GATEWAY).reasons == [f"{SECOND} failed, so this host did not have its turn"]
    steps.clear()
    deploy(steps, fails=(GATEWAY, "accept"))
    assert not any(title == "narrow" for _, title in steps)


def test_a_failure_before_the_turns_interrupts_no_backend() -> None:
    steps: Steps = []
    deploy(steps, fails=(SECOND, "pull"))
    assert len(steps) == 3


def test_without_pools_the_order_is_pyinfras() -> None:
    steps: Steps = []
    deploy(steps, has_pools=False)
    assert [title for _, title in steps] == ["pull"] * 3 + ["start"] * 3 + ["accept"] * 3 + ["narrow"] * 3
