"""Collect the facts that a run's operations will ask for in one round trip, and serve them while they are current.

Each command on a host has a price: an ssh channel, the login shell, sudo, two more shells. On a host where nothing is
to be done, that is most of a deploy. pyinfra does not cache facts, since operations change what they report; so a
snapshot is valid until the first operation on its host that changes anything, and for a minute at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra import host
from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_state

from hearth.runtime.explain import is_preparing
from hearth.runtime.sudo import root_connection_arguments

T = TypeVar("T")
# A fact and its arguments.
Query = tuple[type[FactBase[Any]], Mapping[str, Any]]
# Seconds. On one of many hosts, an operation may have waited for another host's downloads.
MAX_AGE = 60
# In memory, and only root may write there.
DIRECTORY = "/run"
_BEGIN, _END = "@@@fact", "@@@end"


@dataclass
class _Snapshot:
    """Output of facts' commands.

    Attributes:
        taken: when, by the monotonic clock.
        outputs: fact and arguments, with the lines that the command printed.
        shown: it was used while preparing, so the changes that pyinfra shows before a confirmation are from it.
    """

    taken: float
    outputs: list[tuple[Query, list[str]]]
    shown: bool = False


_snapshots: WeakKeyDictionary[State, dict[str, _Snapshot]] = WeakKeyDictionary()


def take_snapshot(queries: Sequence[Query], root: Mapping[str, Any]) -> None:
    """Collect facts of the current host together. Call it when all that runs before the operations has passed.

    Failures are not reported here: an operation asks for a fact that is missing in the snapshot on its own.

    Args:
        queries: facts with the arguments that the operations will use.
        root: pyinfra arguments with which commands run as root.
    """
    arguments = root_connection_arguments(root)
    commands = [str(fact().command(**given)) for fact, given in queries]
    taken = time.monotonic()
    try:
        _, output = host.run_shell_command(StringCommand(snapshot_script(commands)), **arguments)
    except (OSError, SSHException):
        return  # the connection is gone, which would end the run for all hosts; the next fact fails for this one
    found = parse_snapshot(output.stdout_lines)
    state = _state()
    _snapshots.setdefault(state, {})[host.name] = _Snapshot(
        taken, [(query, found[number]) for number, query in enumerate(queries) if number in found]
    )
    if not any(isinstance(one, _Expiry) for one in state.callback_handlers):
        state.add_callback_handler(_Expiry())  # type: ignore[no-untyped-call]


def current_fact(fact: type[FactBase[T]], **arguments: Any) -> T:
    """A fact of the current host: from the snapshot if that is current, else as `host.get_fact` has it.

    Raises:
        FactPreconditionError: as `host.get_fact`.
    """
    snapshot = _snapshots.get(_state(), {}).get(host.name)
    if snapshot is not None and not _is_current(snapshot):
        forget_snapshot(_state(), host.name)
        snapshot = None
    lines = next((lines for query, lines in snapshot.outputs if query == (fact, arguments)), ()) if snapshot else ()
    if lines:
        try:
            value: T = fact().process(lines)
        except FactPreconditionError:
            # What is not as expected is determined and reported by pyinfra, as without a snapshot.
            pass
        else:
            return value
    return host.get_fact(fact, **arguments)


def forget_snapshot(state: State, name: str) -> None:
    """Let all facts of a host be collected again."""
    _snapshots.get(state, {}).pop(name, None)


def _is_current(snapshot: _Snapshot) -> bool:
    if is_preparing():
        snapshot.shown = True
    elif snapshot.shown:
        return False  # since then, somebody was shown the changes and confirmed them, which takes any time
    return time.monotonic() - snapshot.taken <= MAX_AGE


def snapshot_script(commands: Sequence[str]) -> str:
    """Shell script that runs the commands of facts side by side, and prints the output of each that succeeds.

    They run at the same time, since each mostly waits for the engine; their output is kept in a directory in memory
    (/run) until it is printed in order.
    """
    lines = [f"d=$(mktemp -d {DIRECTORY}/hearth-facts-XXXXXX) || exit", "trap 'rm -rf \"$d\"' EXIT"]
    lines += [
        f'( (\n{command}\n) >"$d/{number}" 2>/dev/null && printf "\\n{_END}\\n" >>"$d/{number}" ) &'
        for number, command in enumerate(commands)
    ]
    lines += ["wait", f'for n in {" ".join(map(str, range(len(commands))))}; do echo "{_BEGIN} $n"; cat "$d/$n"; done']
    return "\n".join(lines)


def parse_snapshot(lines: Iterable[str]) -> dict[int, list[str]]:
    """Number of each command that succeeded → its output."""
    outputs: dict[int, list[str]] = {}
    current: list[str] = []
    number = -1
    for line in lines:
        if line.startswith(f"{_BEGIN} "):
            number, current = int(line.rpartition(" ")[2]), []
        elif line == _END:
            # The mark comes after a newline of its own: a file may end without one.
            outputs[number] = current[:-1] if current[-1:] == [""] else current
        else:
            current.append(line)
    return outputs


class _Expiry(BaseStateCallback):
    """Forgets a host's snapshot as soon as an operation changed, or may have changed, anything on it."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:  # noqa: ARG004
        # When the callbacks for its end run, an operation does not know yet what it did.
        metas = [data.operation_meta for data in state.ops[host].values()]
        if any(meta.is_complete() and (meta.did_change() or meta.did_error()) for meta in metas):
            forget_snapshot(state, host.name)


def _state() -> State:
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return state
