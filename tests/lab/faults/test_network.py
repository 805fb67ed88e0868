"""The host loses its network or its power during a deploy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import qmp, state
from tests.lab import power
from tests.lab.checks import deploy_twice
from tests.lab.faults.conftest import Images
from tests.lab.registry_fault import Faults
from tests.lab.watched import Moment, watch

pytestmark = [pytest.mark.long, pytest.mark.scenario, pytest.mark.usefixtures("deployed")]
PULLING = {"pulling": Moment(r"httpd:2\.4\.68-second: \d+ MB of 6 MB")}


def set_network(on: bool) -> None:
    """Connect or disconnect the guest's network cable."""
    with qmp.monitor(state.DIRECTORY) as monitor:
        monitor.execute("set_link", name="net", up=on)


@pytest.fixture
def cable() -> Iterator[None]:
    yield
    set_network(True)


@pytest.mark.usefixtures("cable")
def test_network_loss_ends_the_run_with_an_error(images: Images) -> None:
    images.line.faults = Faults(pace=100_000)  # slow, to make the pull last
    done = watch(PULLING, lambda _: set_network(False), *images.upgrade(), timeout=420)
    assert done.reached == ("pulling",), done.output
    print(f"\nno network during the pull: the run ended after {done.seconds:.1f} s in total")
    assert done.code not in (None, 0), "the run did not notice it"
    assert "no response from the host" in done.output, done.output
    set_network(True)
    images.line.faults = Faults()
    deploy_twice(*images.upgrade())


def test_power_loss_ends_the_run(images: Images) -> None:
    images.line.faults = Faults(pace=100_000)
    done = watch(PULLING, lambda _: power.cut(), *images.upgrade(), timeout=420)
    assert done.reached == ("pulling",), done.output
    last = done.output.strip().splitlines()[-3:]
    print(f"\nno power during the pull: the run ended after {done.seconds:.1f} s in total with {last}")
    assert done.code not in (None, 0)
    power.boot()
    images.line.faults = Faults()
    deploy_twice(*images.upgrade())
