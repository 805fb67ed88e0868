"""Facts that are collected together, on this machine: when a snapshot is used, and when it is not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paramiko import SSHException
from pyinfra.api import Config, FactBase, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.local import LocalConnector
from pyinfra.context import ctx_host, ctx_state
from typing_extensions import override

from hearth.runtime import fact_snapshot
from hearth.runtime.fact_snapshot import Query, current_fact, parse_snapshot, snapshot_script, take_snapshot

On = Callable[[Callable[[], Any]], Any]


class Lines(FactBase[list[str]]):
    """The lines of a file. Each time its command runs, it appends one to `log`, next to the file."""

    @override
    def command(self, path: str) -> str:
        return f"echo asked >>{path}.log; cat {path}"

    @override
    def process(self, output: Iterable[str]) -> list[str]:
        lines = list(output)
        if lines == ["not yet"]:
            raise FactPreconditionError(type(self), "not yet")
        return lines


@operation()
def write_line(path: str, line: str) -> Generator[StringCommand, None, None]:
    """Make a file consist of this line."""
    if current_fact(Lines, path=path) != [line]:
        yield StringCommand(f"echo {line} >{path}")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A run on this machine that is in its prepare phase, with `-y`."""
    monkeypatch.setattr(fact_snapshot, "DIRECTORY", str(tmp_path))
    one = State(inventory=Inventory((["@local"], {})), config=Config(), check_for_changes=False)  # type: ignore[no-untyped-call]
    one.set_stage(StateStage.Connect)
    connect_all(one)
    one.set_stage(StateStage.Prepare)
    yield one
    disconnect_all(one)
    assert not list(tmp_path.glob("hearth-facts-*"))


@pytest.fixture
def on(state: State) -> On:
    """Call a function as deploy code on that machine."""

    def call(function: Callable[[], Any]) -> Any:
        with ctx_state.use(state), ctx_host.use(next(iter(state.inventory))):
            return function()

    return call


def files(directory: Path, **contents: str) -> list[Query]:
    for name, content in contents.items():
        (directory / name).write_text(f"{content}\n")
    return [(Lines, {"path": str(directory / name)}) for name in contents]


def asked(directory: Path, name: str) -> int:
    return len((directory / f"{name}.log").read_text().splitlines())


def execute(state: State, *operations: tuple[str, str]) -> None:
    for path, line in operations:
        add_op(state, write_line, path=path, line=line)
    state.set_stage(StateStage.Execute)
    state.is_executing = True
    with ctx_state.use(state):
        run_ops(state)


def test_nothing_is_asked_twice_if_nothing_changes(state: State, on: On, tmp_path: Path) -> None:
    queries = files(tmp_path, a="one", b="two")
    on(lambda: take_snapshot(queries, {}))
    execute(state, (f"{tmp_path}/a", "one"), (f"{tmp_path}/b", "two"), (f"{tmp_path}/a", "one"))
    assert (asked(tmp_path, "a"), asked(tmp_path, "b")) == (1, 1)


def test_after_the_first_change_everything_is_asked_again(state: State, on: On, tmp_path: Path) -> None:
    queries = files(tmp_path, a="one", b="two")
    on(lambda: take_snapshot(queries, {}))
    # The last one sees what the second one wrote, not the snapshot.
    execute(state, (f"{tmp_path}/a", "one"), (f"{tmp_path}/b", "three"), (f"{tmp_path}/b", "three"))
    assert (asked(tmp_path, "a"), asked(tmp_path, "b")) == (1, 2)
    assert [data.operation_meta.did_change() for data in state.ops[next(iter(state.inventory))].values()] == [
        False,
        True,
        False,
    ]


def test_an_old_snapshot_is_not_used(on: On, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = files(tmp_path, a="one")
    monkeypatch.setattr(fact_snapshot, "MAX_AGE", -1)
    on(lambda: take_snapshot(queries, {}))
    (tmp_path / "a").write_text("changed elsewhere\n")
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/a")) == ["changed elsewhere"]


def test_what_was_shown_before_a_confirmation_is_asked_again_after_it(state: State, on: On, tmp_path: Path) -> None:
    queries = files(tmp_path, a="one")
    on(lambda: take_snapshot(queries, {}))
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/a")) == ["one"]
    assert asked(tmp_path, "a") == 1
    execute(state, (f"{tmp_path}/a", "one"))
    assert asked(tmp_path, "a") == 2


def test_other_arguments_and_failures_are_left_to_pyinfra(on: On, tmp_path: Path) -> None:
    queries = files(tmp_path, a="not yet", c="three")
    on(lambda: take_snapshot([*queries, (Lines, {"path": f"{tmp_path}/missing"})], {}))
    (tmp_path / "a").write_text("ready\n")
    (tmp_path / "missing").write_text("there now\n")
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/a")) == ["ready"]
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/missing")) == ["there now"]
    files(tmp_path, d="four")
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/d")) == ["four"]


def test_a_lost_connection_is_left_to_pyinfra(on: On, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = files(tmp_path, a="one")

    def lost(*_: Any, **__: Any) -> Any:
        raise SSHException("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(LocalConnector, "run_shell_command", lost)
        on(lambda: take_snapshot(queries, {}))
    assert on(lambda: current_fact(Lines, path=f"{tmp_path}/a")) == ["one"]


def test_commands_that_exit_or_print_no_newline_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_snapshot, "DIRECTORY", str(tmp_path))
    commands = ["echo a; exit 0", "echo b; exit 3", "cd /; echo @@c; echo d", "echo >&2 e; printf f"]
    done = subprocess.run(["sh", "-c", snapshot_script(commands)], capture_output=True, text=True, check=True)
    assert parse_snapshot(done.stdout.splitlines()) == {0: ["a"], 2: ["@@c", "d"], 3: ["f"]}
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())
