"""What Hearth leans on in pyinfra 3.10 and that its documentation does not promise: an upgrade must fail here first."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
from pyinfra import host
from pyinfra.api import Config, FactBase, FunctionCommand, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import FactPreconditionError, PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_state
from typing_extensions import override

from hearth.runtime.commands import refused_command, streamed_command


def fake(responses: dict[str, Any]) -> State:
    """A state with one host that runs nothing and answers what it is told to."""
    data = {"fake_responses": responses, "fake_delay": 0, "fake_delay_jitter": 0}
    inventory = Inventory((["@fake/pi"], data))  # type: ignore[no-untyped-call]
    state = State(inventory=inventory, config=Config())  # type: ignore[no-untyped-call]
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    return state


def the_host(state: State) -> Any:
    return next(iter(state.inventory))


class Engine(FactBase[str]):
    """A fact that can't know."""

    asked = 0

    @staticmethod
    @override
    def default() -> str:
        return "default"

    @override
    def command(self) -> str:
        return "ask-engine"

    @override
    def process(self, output: Iterable[str]) -> str:
        Engine.asked += 1
        lines = list(output)
        if lines == ["unreachable"]:
            raise FactPreconditionError(type(self), "no answer")
        return lines[0]


def get(state: State) -> Any:
    with ctx_state.use(state), ctx_host.use(the_host(state)):
        return the_host(state).get_fact(Engine)


def test_a_precondition_raised_by_process_gives_the_default_while_preparing() -> None:
    assert get(fake({"ask-engine": "unreachable"})) == "default"


def test_a_precondition_raised_by_process_is_raised_while_executing() -> None:
    state = fake({"ask-engine": "unreachable"})
    state.set_stage(StateStage.Execute)
    with pytest.raises(FactPreconditionError, match="no answer"):
        get(state)


def test_a_fact_without_output_is_its_default_and_not_processed() -> None:
    Engine.asked = 0
    assert get(fake({"ask-engine": []})) == "default"
    assert Engine.asked == 0


def test_facts_are_asked_anew_each_time() -> None:
    state = fake({"ask-engine": "x"})
    Engine.asked = 0
    assert (get(state), get(state)) == ("x", "x")
    assert Engine.asked == 2


@operation()
def refuses() -> Generator[FunctionCommand | StringCommand, None, None]:
    yield refused_command("not like this")
    yield StringCommand("never-run")


@operation()
def streams() -> Generator[FunctionCommand, None, None]:
    yield streamed_command("long-script")


@operation()
def follows() -> Generator[StringCommand, None, None]:
    """The second of two commands; the body runs again while executing."""
    host.get_fact(Engine)
    yield StringCommand("second")


def ran(state: State, *operations: Callable[..., Any], **arguments: Any) -> list[str]:
    """Commands that the host was given."""
    for one in operations:
        add_op(state, one, **arguments)
    state.set_stage(StateStage.Execute)
    run_ops(state)
    return [str(command) for command in the_host(state).connector.executed_commands]


def test_a_refusal_fails_the_host_and_ends_its_operations() -> None:
    state = fake({})
    with pytest.raises(PyinfraError, match="No hosts remaining"):
        ran(state, refuses, streams)
    assert [str(command) for command in the_host(state).connector.executed_commands] == []


def test_a_streamed_script_that_fails_fails_the_host() -> None:
    with pytest.raises(PyinfraError, match="No hosts remaining"):
        ran(fake({"long-script": {"success": False}}), streams)


def test_a_streamed_script_runs_with_the_operations_privileges() -> None:
    state = fake({})
    seen: list[dict[str, Any]] = []
    connector = the_host(state).connector
    original = connector.run_shell_command

    def spy(command: Any, *positional: Any, **arguments: Any) -> Any:
        seen.append(arguments)
        return original(command, *positional, **arguments)

    connector.run_shell_command = spy
    ran(state, streams, _sudo=True)
    assert [arguments.get("_sudo") for arguments in seen] == [True]


def test_an_operations_body_runs_again_while_executing() -> None:
    state = fake({"ask-engine": "x"})
    Engine.asked = 0
    ran(state, follows)
    assert Engine.asked == 2
