"""A second deploy changes nothing, and takes little time compared with a single command on the host."""

from __future__ import annotations

import time

from tests.lab.accounting import accounted
from tests.lab.machine import deploy, on_guest

# What a deploy with nothing to do starts on the host, at most. Each of these costs more than a hundred small programs
# on a Pi; a change that needs one more has to say what for.
PROGRAMS = {"sudo": 5, "docker": 6, "docker-compose": 0}
PROCESSES = 250


def test_second_run_changes_nothing() -> None:
    begun = time.monotonic()
    on_guest("cd /opt/hearth && sudo docker compose ps")
    one_command = time.monotonic() - begun
    run = deploy()
    print(
        f"\nsecond deploy: {run.seconds:.1f} s; one `ssh … docker compose ps` at the same time: {one_command:.1f} s; "
        f"ratio {run.seconds / one_command:.1f}"
    )
    assert run.code == 0, run.output
    assert run.changed == (), run.output
    assert run.unchanged == 7, run.output


def test_third_run_starts_few_programs() -> None:
    """The third, since the second one asked Compose for its hashes, which the fact keeps until a reboot."""
    with accounted() as started:
        run = deploy()
    assert (run.code, run.changed) == (0, ()), run.output
    print(f"\n{started.processes} processes on the host, of programs: {dict(started.programs.most_common())}")
    for program, most in PROGRAMS.items():
        assert started.programs[program] <= most, (program, started.programs)
    assert started.processes <= PROCESSES, started.programs
