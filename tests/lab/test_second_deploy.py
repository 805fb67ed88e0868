"""A second deploy changes nothing, and takes little time compared with a single command on the host."""

from __future__ import annotations

import time

from tests.lab.machine import deploy, on_guest


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
