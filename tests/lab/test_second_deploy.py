"""A second deploy changes nothing, and takes little time compared with a single command on the host."""

from __future__ import annotations

import time

from tests.lab.accounting import accounted
from tests.lab.machine import deploy, on_guest

# What a deploy with nothing to do starts on the host, at most. On a Pi, each of these costs as much as dozens of small
# programs; a change that needs one more has to say what for.
PROGRAMS = {"sudo": 4, "docker": 6, "docker-compose": 0}
PROCESSES = 160


def test_second_run_changes_nothing() -> None:
    run = deploy()
    assert (run.code, run.changed, run.unchanged) == (0, (), 7), run.output
    # The one after it: the first asks Compose and the engine what only a change or a restart can change.
    begun = time.monotonic()
    on_guest("cd /opt/hearth && sudo docker compose ps")
    one_command = time.monotonic() - begun
    with accounted() as started:
        run = deploy()
    print(
        f"\nsecond deploy: {run.seconds:.1f} s; one `ssh … docker compose ps` at the same time: {one_command:.1f} s; "
        f"ratio {run.seconds / one_command:.1f}\n"
        f"{started.processes} processes on the host, of programs: {dict(started.programs.most_common())}"
    )
    assert run.code == 0, run.output
    assert run.changed == (), run.output
    assert run.unchanged == 7, run.output
    for program, most in PROGRAMS.items():
        assert started.programs[program] <= most, (program, started.programs)
    assert started.processes <= PROCESSES, started.programs
