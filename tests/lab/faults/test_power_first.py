"""The plug is pulled at many moments of a first deploy; the next deploy finishes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import power
from tests.lab.faults import moments
from tests.lab.machine import restore
from tests.lab.verdict import right_then_quiet
from tests.lab.watched import Moment

pytestmark = [pytest.mark.unproven, pytest.mark.scenario, pytest.mark.long]
PREFIX = "first"

MOMENTS = {
    "daemon.json written": Moment(r"Install the engine and Compose"),
    "apt reads its lists": Moment(r"Reading the package lists", 3),
    "packages arrive": Moment(r"^\[[^]]*\] Installing |Installing docker", 4),
    "dpkg unpacks docker": Moment(r"Unpacking docker\.io"),
    "dpkg sets up containerd": Moment(r"Setting up containerd"),
    "dpkg sets up docker": Moment(r"Setting up docker\.io"),
    "engine started": Moment(r"Starting operation: Stack \| Pull the images"),
    "first layer there": Moment(r"Pull complete"),
    "first image there": Moment(r"Downloaded newer image for ollama"),
    "both images there": Moment(r"Downloaded newer image for httpd"),
    "files on their way": Moment(r"Starting operation: Stack \| Put the files", 1.5),
    "containers created": Moment(r"hearth-ollama +Created"),
    "ollama starting": Moment(r"hearth-ollama +Started"),
    "httpd started": Moment(r"hearth-httpd +Started"),
    "model half there": Moment(r"tinyllama: pulling .* [1-9]\d?%"),
    "first model there": Moment(r"tinyllama: pulled"),
}


@pytest.fixture(scope="module")
def recorded() -> Iterator[None]:
    restore("fresh")
    moments.record(PREFIX, MOMENTS)
    yield
    power.forget_disks(PREFIX)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("moment", moments.cases(MOMENTS))
def test_a_first_deploy_is_finished_after_a_power_cut(moment: str) -> None:
    moments.boot(PREFIX, moment)
    right_then_quiet()
