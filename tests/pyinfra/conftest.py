"""A host for operations that is nothing but the facts it answers with."""

from __future__ import annotations

import logging
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyinfra
import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.operations import parse_commands
from pyinfra_testing.util import FakeState, create_host

from hearth.docker.reachability import Reachability, ReachabilityState
from hearth.settings.load import load_settings
from hearth.settings.model import Settings

Run = Callable[..., "Result"]


class Listener(logging.Handler):
    """Collects what pyinfra logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    def __enter__(self) -> None:
        pyinfra.logger.addHandler(self)
        pyinfra.logger.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        pyinfra.logger.removeHandler(self)


class Result:
    """What an operation would do: its commands, what it says before, and where there is nothing to do."""

    def __init__(self, commands: list[Any], noop: str | None, said: list[str]) -> None:
        self.commands = commands
        self.noop = noop
        self.said = said

    @property
    def scripts(self) -> list[str]:
        """The shell scripts that run with live output."""
        return [command[1][0] for command in self.commands if isinstance(command, list) and command[0] == "_run"]

    @property
    def refusals(self) -> list[str]:
        """The sentences that the operation fails with."""
        return [command[1][0] for command in self.commands if isinstance(command, list) and command[0] == "_refuse"]


def _with_upload(command: Any) -> Any:
    """["upload", content, path] for an `upload_command`; others unchanged."""
    if isinstance(command, list) and command[0] == "_upload":
        content, path, _ = command[1]
        return ["upload", content.decode(), path]
    return command


@pytest.fixture(scope="session")
def run() -> Run:
    """Run an operation on a host that answers with the given facts: class to state, or to the error it raises."""

    def one(operation: Any, facts: Mapping[type, Any], **arguments: Any) -> Result:
        state = FakeState()
        host = create_host(state)

        def get_fact(fact: type, **asked: Any) -> Any:
            host._check_fact_args(fact, asked)
            answer = facts.get(fact, ReachabilityState()) if fact is Reachability else facts[fact]
            if isinstance(answer, Exception):
                raise answer
            return answer

        host.get_fact = get_fact
        listener = Listener()
        with listener, ctx_state.use(state), ctx_host.use(host):
            commands = list(operation._inner(**arguments))
        return Result([_with_upload(one) for one in parse_commands(commands)], host.noop_description, listener.said)

    return one


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., Settings]:
    """Settings as shipped, with the given values instead of the defaults."""
    names = runpy.run_path(str(Path(__file__).resolve().parents[2] / "group_data" / "all.py"))
    defaults = {name: value for name, value in names.items() if not name.startswith("__")}

    def make(**values: Any) -> Settings:
        return load_settings(defaults | values)

    return make


@pytest.fixture(scope="session")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """The settings as shipped."""
    return make_settings()
