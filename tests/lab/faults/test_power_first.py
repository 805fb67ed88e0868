"""The power is cut at many moments of a first deploy; the next deploy completes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import power
from tests.lab.checks import deploy_twice
from tests.lab.faults import moments
from tests.lab.machine import restore
from tests.lab.watched import Moment

pytestmark = [pytest.mark.scenario, pytest.mark.long]
PREFIX = "first"

MOMENTS = {
    "daemon.json written": Moment(r"Install the engine and Compose"),
    "dpkg unpacks docker": Moment(r"Unpacking docker\.io"),
    "dpkg sets up docker": Moment(r"Setting up docker\.io"),
    "first layer unpacked": Moment(r"layers unpacked"),
    "first image pulled": Moment(r"Downloaded newer image"),
    "files being written": Moment(r"Starting operation: Stack \| Write the files", 1.5),
    "containers created": Moment(r"hearth-ollama +Created"),
    "httpd started": Moment(r"hearth-httpd +Started"),
    "model half pulled": Moment(r"tinyllama: pulling .*\([1-9]\d?%\)"),
}


@pytest.fixture(scope="module")
def recorded() -> Iterator[None]:
    restore("fresh")
    moments.record(PREFIX, MOMENTS)
    yield
    power.delete_disks(PREFIX)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("moment", moments.cases(MOMENTS))
def test_first_deploy_is_completed_after_a_power_cut(moment: str) -> None:
    moments.boot(PREFIX, moment)
    deploy_twice()
