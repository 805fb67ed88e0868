"""The order of operations over gateways and backends, with pyinfra's own machinery and operations that only record."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from paramiko import SSHException
from pyinfra.api import Config, FunctionCommand, Inventory, State, operation
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_state

from hearth.rollout.rollout import begin_rollout, rollout_of
from hearth.rollout.turns import run_in_turns
from hearth.runtime.journal import journal_of
from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from tests.support.shipped import shipped_settings

GATEWAY, FIRST, SECOND, OTHER = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"
HOSTS = (GATEWAY, FIRST, SECOND)
Steps = list[tuple[str, str]]


def house(*, has_pools: bool, hosts: Collection[str] = HOSTS) -> dict[str, Settings]:
    pools = {"default": [{"host": FIRST}, {"host": SECOND}]}
    roles: dict[str, dict[str, Any]] = {
        GATEWAY: {"host_role": "gateway", "ollama_pools": pools},
        FIRST: {"host_role": "backend"},
        SECOND: {"host_role": "backend"},
        OTHER: {"host_role": "gateway", "ollama_pools": pools},
    }
    found = {name: shipped_settings(**(roles[name] if has_pools else {})) for name in hosts}
    return resolve_house(found, {name: name for name in hosts})


@dataclass
class Gateways:
    """Connections to gateways.

    Attributes:
        marked: the backend that each of them leaves out at the beginning.
        answers: whether that backend answers a test prompt.
        gone: the gateway whose connection ends, before its first script of this name.
        calls: gateway, what it does, and with which backend.
    """

    marked: str = ""
    answers: bool = True
    gone: tuple[str, str] = ("", "")
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    lost: bool = False

    def run(self, name: str, command: Any, **_options: object) -> tuple[bool, CommandOutput]:
        script = str(command)
        call, _, rest = script.partition("main() {\n")[2].partition(" ")
        backend = next((one for one in (FIRST, SECOND) if rest.startswith((one, f"'{one}'"))), "")
        self.lost = self.lost or (name, call or "marks") == self.gone
        if self.lost and name == self.gone[0]:
            raise SSHException("SSH session not active")
        self.calls.append((name, call or "marks", backend))
        if call:
            return call != "is_left_out" or backend != self.marked or self.answers, CommandOutput([])
        lines = [f"Define DRAIN_{self.marked} +N"] if self.marked else []
        return True, CommandOutput([OutputLine("stdout", line) for line in lines])


def deploy(
    steps: Steps,
    *,
    has_pools: bool = True,
    fails: tuple[str, str] = ("", ""),
    hosts: Collection[str] = HOSTS,
    gateways: Gateways | None = None,
) -> State:
    """Run four operations, of which the first and the last need no turn.

    Args:
        steps: filled with what was run where.
        fails: a host and an operation that fails there.
        gateways: that the run is connected to: they leave out each backend in its turn.
    """

    def record(state: State, host: Any, name: str) -> bool:
        steps.append((host.name, name))
        rollout = rollout_of(state)
        if gateways and rollout and name == "start" and not rollout.drain(host):
            return False
        return (host.name, name) != fails

    @operation()
    def step(title: str) -> Generator[FunctionCommand, None, None]:
        yield FunctionCommand(record, (title,), {})

    state = State(Inventory((list(hosts), {})), Config())  # type: ignore[no-untyped-call]
    with ctx_state.use(state):
        for one in state.inventory:
            state.activate_host(one)
            if gateways:
                one.connected = True
                one.run_shell_command = partial(gateways.run, one.name)  # type: ignore[method-assign]
                journal_of(state, one.name).prepared = True
        state.set_stage(StateStage.Prepare)
        rollout = begin_rollout(state, house(has_pools=has_pools, hosts=hosts))
        for title in ("pull", "start", "accept", "narrow"):
            add_op(state, step, title, name=title)
            if rollout and title == "pull":
                rollout.own_steps = {one.name: len(one.op_hash_order) for one in state.inventory}
            if rollout and title == "accept":
                rollout.turn_ends = {one.name: len(one.op_hash_order) for one in state.inventory}
        state.set_stage(StateStage.Execute)
        run_in_turns(run_ops)(state)
    return state


@pytest.mark.parametrize("when", ["marks", "drain"])
def test_a_gateway_that_is_gone_before_a_turn_does_not_stop_it(when: str) -> None:
    """As one that could not be reached at the beginning; but the end says that it may leave out a backend."""
    steps: Steps = []
    gateways = Gateways(gone=(GATEWAY, when))
    state = deploy(steps, hosts=(*HOSTS, OTHER), gateways=gateways)
    assert (FIRST, "accept") in steps
    assert (OTHER, "drain", FIRST) in gateways.calls
    assert gateways.calls[-1] == (OTHER, "is_left_out", FIRST)
    assert {one.name for one in state.failed_hosts} == {FIRST}


def test_a_gateway_that_dies_during_a_turn_leaves_the_others_using_the_backend_again() -> None:
    steps: Steps = []
    gateways = Gateways(gone=(GATEWAY, "is_left_out"))
    state = deploy(steps, hosts=(*HOSTS, OTHER), gateways=gateways)
    assert gateways.calls[-1] == (OTHER, "is_left_out", FIRST)
    assert {one.name for one in state.failed_hosts} == {FIRST}
    (reason,) = journal_of(state, FIRST).reasons
    assert reason.startswith(f"no connection to {GATEWAY} any more")
    assert journal_of(state, SECOND).reasons == [f"{FIRST} failed, so this host did not have its turn"]


@pytest.mark.parametrize("answers", [True, False])
def test_a_backend_that_an_earlier_run_left_drained_is_tried_before_the_first_turn(answers: bool) -> None:
    """Otherwise, the first one would be the only one in use, and change under load."""
    steps: Steps = []
    gateways = Gateways(marked=SECOND, answers=answers)
    state = deploy(steps, gateways=gateways)
    assert gateways.calls[:3] == [
        (GATEWAY, "marks", ""),
        (GATEWAY, "is_left_out", SECOND),
        (GATEWAY, "drain", FIRST),
    ]
    assert (FIRST, "accept") in steps
    assert {one.name for one in state.failed_hosts} == (set() if answers else {SECOND}), "after its own turn"


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
