"""Saying what would change and why, once for each host, while pyinfra prepares or while it executes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from pyinfra import host, logger
from pyinfra.api.state import State
from pyinfra.context import ctx_state

# Names a file to which every sentence is added, a JSON object a line, for `python -m hearth.drift`: pyinfra's own JSON
# has no place for them. In the terminal they go to standard error, as all that pyinfra logs.
EXPLAIN_LOG = "HEARTH_REPORT"

Kind = Literal["differs", "unknown"]

# (host, sentence) → kind, of each run. An operation's body runs twice: what was explained before a person confirms is
# not explained again afterwards.
_said: WeakKeyDictionary[State, dict[tuple[str, str], Kind]] = WeakKeyDictionary()
# Hosts and files that an earlier operation of the same run is going to put, as it said while preparing.
_put: WeakKeyDictionary[State, set[tuple[str, str]]] = WeakKeyDictionary()


def _state() -> State:
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return state


def is_preparing() -> bool:
    """Whether pyinfra only looks what operations would do."""
    return not _state().is_executing


def explain(*sentences: str, kind: Kind = "differs") -> None:
    """Say to the person who deploys what differs on the current host and what is done about it.

    To be called before an operation's first `yield`, so that `--dry`, and the run that asks, show it in time.

    Args:
        kind: `unknown` where something can't be found out, which is neither a difference nor the lack of one.
    """
    said = _said.setdefault(_state(), {})
    for sentence in sentences:
        if (host.name, sentence) in said:
            continue
        said[host.name, sentence] = kind
        logger.info(f"{host.print_prefix}{sentence}")
        if path := os.environ.get(EXPLAIN_LOG):
            with Path(path).open("a", encoding="utf-8") as report:
                report.write(json.dumps({"host": host.name, "kind": kind, "text": sentence}) + "\n")


def explained(state: State, name: str) -> list[tuple[Kind, str]]:
    """Kinds and sentences of everything explained about a host during a run, in order."""
    return [(kind, sentence) for (host_name, sentence), kind in _said.get(state, {}).items() if host_name == name]


def will_write(*paths: str) -> None:
    """Remember, while preparing, that these files of the current host are going to be put in place."""
    if is_preparing():
        _put.setdefault(_state(), set()).update((host.name, path) for path in paths)


def will_be_written(path: str) -> bool:
    """Whether what the host shows of this file, or has made from it, is to be replaced by this very run."""
    return is_preparing() and (host.name, path) in _put.get(_state(), ())
