"""What somebody who uses the host notices of changes to it: as little as possible, and how much that is."""

from __future__ import annotations

import pytest

from tests.lab.clients import Chatter, Knocker
from tests.lab.faults.conftest import Images
from tests.lab.machine import deploy
from tests.lab.verdict import right_then_quiet

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


@pytest.mark.parametrize(
    ("reloads", "deploys"),
    [(3, 1), pytest.param(20, 5, marks=pytest.mark.long)],
    ids=["sample", "whole"],
)
def test_a_client_in_a_loop_sees_nothing_of_reloads_and_deploys(reloads: int, deploys: int) -> None:
    settings = 'proxy_host_names=["one.example"]', 'proxy_host_names=["two.example"]'
    seconds = []
    with Chatter() as chatter:
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
        f"{len(chatter.answers)} answers, {len(chatter.failed)} failed requests, {len(chatter.cut)} cut streams"
    )
    assert len(chatter.answers) > reloads + deploys
    assert chatter.failed == []
    assert chatter.cut == []


@pytest.mark.long
def test_the_gap_of_an_upgrade_of_httpd(images: Images) -> None:
    deploy(images.mirror)  # the engine's restart is not what is measured
    with Knocker() as knocker:
        run = deploy(*images.upgrade())
    assert run.code == 0, run.output
    patience = max(0.2, 5 * knocker.usual)
    gaps, late = knocker.gaps(patience), knocker.slow(patience)
    wrong = sorted({knock.wrong for knock in knocker.failed})
    print(
        f"\nupgrade of httpd in {run.seconds:.1f} s: {len(knocker.knocks)} new connections, "
        f"{len(knocker.failed)} failed ({'; '.join(wrong)}); "
        f"gaps {', '.join(f'{gap:.2f} s' for gap in gaps) or 'none'}; an answer usually takes {knocker.usual:.3f} s; "
        f"{len(late)} took over {patience:.1f} s, {max(late, default=0):.2f} s at most"
    )
    assert len(gaps) <= 1, gaps
    assert sum(gaps) < 60, gaps  # under emulation, where starting a container takes ten seconds and more
    right_then_quiet(*images.upgrade())
