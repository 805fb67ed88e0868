"""A host for operations that is nothing but the facts it answers with."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.operations import parse_commands
from pyinfra_testing.util import FakeState, create_host

from hearth.settings import Settings

Run = Callable[..., "Result"]


class Result:
    """What an operation would do: its commands, and what it says where there is nothing to do."""

    def __init__(self, commands: list[Any], noop: str | None) -> None:
        self.commands = commands
        self.noop = noop

    @property
    def scripts(self) -> list[str]:
        """The shell scripts that run with live output."""
        return [command[1][0] for command in self.commands if isinstance(command, list) and command[0] == "_run"]

    @property
    def refusals(self) -> list[str]:
        """The sentences that the operation fails with."""
        return [command[1][0] for command in self.commands if isinstance(command, list) and command[0] == "_refuse"]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run an operation on a host that answers with the given facts: class to state, or to the error it raises."""

    def one(operation: Any, facts: Mapping[type, Any], **arguments: Any) -> Result:
        state = FakeState()
        host = create_host(state)

        def get_fact(fact: type, **asked: Any) -> Any:
            host._check_fact_args(fact, asked)
            answer = facts[fact]
            if isinstance(answer, Exception):
                raise answer
            return answer

        host.get_fact = get_fact
        with ctx_state.use(state), ctx_host.use(host):
            commands = list(operation._inner(**arguments))
        return Result(parse_commands(commands), host.noop_description)

    return one


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., Settings]:
    """Settings as shipped, with the given values instead of the defaults."""
    names = runpy.run_path(str(Path(__file__).resolve().parents[2] / "group_data" / "all.py"))
    defaults = {name: value for name, value in names.items() if not name.startswith("__")}

    def make(**values: Any) -> Settings:
        return Settings.from_data(defaults | values)

    return make
