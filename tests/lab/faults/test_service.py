"""What users notice of changes to the host: as little as possible, and how much that is."""

from __future__ import annotations

import pytest

from tests.lab.checks import deploy_twice
from tests.lab.clients import ConnectionLoop, PromptLoop
from tests.lab.faults.conftest import Images
from tests.lab.machine import deploy

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


@pytest.mark.parametrize(
    ("reloads", "deploys"),
    [(3, 1), pytest.param(20, 5, marks=pytest.mark.long)],
    ids=["sample", "whole"],
)
def test_client_in_a_loop_notices_no_reloads_and_deploys(reloads: int, deploys: int) -> None:
    settings = 'proxy_host_names=["one.example"]', 'proxy_host_names=["two.example"]'
    seconds = []
    with PromptLoop() as loop:
        for number in range(reloads):
            run = deploy(settings[number % 2])
            assert run.code == 0, run.output
            assert run.changed, "no reload"
            seconds.append(run.seconds)
        for _ in range(deploys):
            run = deploy(settings[(reloads - 1) % 2])
            assert (run.code, run.changed) == (0, ()), run.output
    print(
        f"\n{reloads} reloads ({sum(seconds) / len(seconds):.1f} s each) and {deploys} deploys: "
        f"{len(loop.responses)} responses, {len(loop.failed)} failed requests, {len(loop.cut)} cut streams"
    )
    assert len(loop.responses) > reloads + deploys
    assert loop.failed == []
    assert loop.cut == []


@pytest.mark.long
def test_interruption_by_an_upgrade_of_httpd(images: Images) -> None:
    deploy(images.mirror)  # the engine's restart is not part of the measurement
    with ConnectionLoop() as loop:
        run = deploy(*images.upgrade())
    assert run.code == 0, run.output
    limit = max(0.2, 5 * loop.usual)
    gaps, late = loop.gaps(limit), loop.slow(limit)
    errors = sorted({attempt.error for attempt in loop.failed})
    print(
        f"\nupgrade of httpd in {run.seconds:.1f} s: {len(loop.attempts)} new connections, "
        f"{len(loop.failed)} failed ({'; '.join(errors)}); "
        f"gaps {', '.join(f'{gap:.2f} s' for gap in gaps) or 'none'}; a response usually takes {loop.usual:.3f} s; "
        f"{len(late)} took over {limit:.1f} s, {max(late, default=0):.2f} s at most"
    )
    assert len(gaps) <= 1, gaps
    assert sum(gaps) < 60, gaps  # under emulation, starting a container takes ten seconds or more
    deploy_twice(*images.upgrade())
