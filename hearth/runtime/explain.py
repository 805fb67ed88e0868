"""Explain what changes and why, once per host, while pyinfra prepares or executes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from pyinfra import host, logger
from pyinfra.api.state import State
from pyinfra.context import ctx_state

# The file to which every explanation is appended, one JSON object per line, for `python -m hearth.drift`: pyinfra's own
# JSON has no field for it. In the terminal, explanations go to standard error, like everything that pyinfra logs.
EXPLAIN_LOG = "HEARTH_REPORT"

Kind = Literal["differs", "unknown", "warning"]

# (host, message) → kind, of each run. An operation's body runs twice: what was explained before the prompt for
# confirmation is not repeated afterwards.
_explained: WeakKeyDictionary[State, dict[tuple[str, str], Kind]] = WeakKeyDictionary()
# (host, file) pairs that an earlier operation of the same run will write, as announced while preparing.
_announced: WeakKeyDictionary[State, set[tuple[str, str]]] = WeakKeyDictionary()


def _state() -> State:
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return state


def is_preparing() -> bool:
    """Whether pyinfra is still determining what operations would do."""
    return not _state().is_executing


def explain(*messages: str, kind: Kind = "differs") -> None:
    """Explain what differs on the current host and what is done about it.

    Call it before an operation's first `yield`, so that it appears in `--dry` and before the prompt.

    Args:
        kind: `unknown` if something could not be determined: neither drifted nor in sync; `warning` for what a deploy
            can't change, and somebody should know.
    """
    explained = _explained.setdefault(_state(), {})
    for message in messages:
        if (host.name, message) in explained:
            continue
        explained[host.name, message] = kind
        (logger.warning if kind == "warning" else logger.info)(f"{host.print_prefix}{message}")
        if path := os.environ.get(EXPLAIN_LOG):
            with Path(path).open("a", encoding="utf-8") as report:
                report.write(json.dumps({"host": host.name, "kind": kind, "text": message}) + "\n")


def explained(state: State, name: str) -> list[tuple[Kind, str]]:
    """Kinds and messages of everything explained about a host during a run, in order."""
    return [(kind, message) for (host_name, message), kind in _explained.get(state, {}).items() if host_name == name]


def will_write(*paths: str) -> None:
    """Record, while preparing, that this run will write these files on the current host."""
    if is_preparing():
        _announced.setdefault(_state(), set()).update((host.name, path) for path in paths)


def will_be_written(path: str) -> bool:
    """Whether this run will replace this file, and thus everything the host derives from it."""
    return is_preparing() and (host.name, path) in _announced.get(_state(), ())
