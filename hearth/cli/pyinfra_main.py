"""pyinfra's program, with exit codes for scripts: `python -m hearth.cli.pyinfra_main INVENTORY deploy.py …`.

pyinfra itself exits with 1 whether or not it changed anything, and with 0 for a dry run that found differences, for an
answer other than yes, and after Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from hearth.drift.verdict import ReportedReason, Verdict, compare
from hearth.drift.verdict import exit_code as drift_exit_code

INTERRUPTED = 128 + signal.SIGINT  # as shells have it


def exit_code(code: int, *, began: bool, preview: list[Verdict] | None = None) -> int:
    """What `hearth deploy` and the like exit with; `hearth --help` explains the codes.

    Args:
        code: pyinfra's.
        began: operations were executed.
        preview: of a dry run: a verdict on each host.
    """
    if code not in (0, 1):
        return code  # 2, wrong usage, or interrupted
    if began:
        return code
    if code == 1:
        return 2
    # Without a preview, somebody was asked and declined.
    return 1 if preview is None else drift_exit_code(preview)


def main() -> None:
    """Run pyinfra with the words of this process's command line, then exit."""
    # First of all: this patches the standard library for gevent.
    from pyinfra_cli import main as program  # type: ignore[import-untyped]

    inner = program.cli

    def interruptible() -> None:
        # In place of pyinfra's handler, which exits with 0.
        signal.signal(signal.SIGINT, _interrupt)
        inner(prog_name="pyinfra")

    program.cli = interruptible
    try:
        program.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
        sys.exit(_translate(code))


def _interrupt(_number: int, _frame: Any) -> None:
    print("Interrupted.", file=sys.stderr)
    sys.exit(INTERRUPTED)


def _translate(code: int) -> int:
    """The exit code for how far the run of this process got."""
    from pyinfra.api.state import State, StateStage
    from pyinfra.context import ctx_state

    from hearth.runtime.command_line import read_command_line

    if not ctx_state.isset():  # type: ignore[no-untyped-call]
        return exit_code(code, began=False)
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    began = state.initialised and state.current_stage >= StateStage.Execute
    looked = code == 0 and not began and read_command_line().is_dry
    return exit_code(code, began=began, preview=_preview(state) if looked else None)


def _preview(state: Any) -> list[Verdict]:
    from pyinfra_cli.prints import build_plan_json  # type: ignore[import-untyped]

    from hearth.runtime.explain import explained

    plan = build_plan_json(state)
    verdicts = []
    for host in state.inventory.iter_activated_hosts():
        changed = [one["name"] for one in plan if host.name in one["hosts_with_change"]]
        verdicts.append(compare(changed, [ReportedReason(*reason) for reason in explained(state, host.name)]))
    return verdicts


if __name__ == "__main__":
    main()
