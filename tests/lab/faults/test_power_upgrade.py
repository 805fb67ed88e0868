"""The power is cut at many moments of an upgrade that changes everything; the next deploy completes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import power
from tests.lab.checks import deploy_twice
from tests.lab.faults import moments
from tests.lab.faults.conftest import Images
from tests.lab.machine import restore
from tests.lab.watched import Moment

pytestmark = [pytest.mark.scenario, pytest.mark.long]
PREFIX = "upgrade"

MOMENTS = {
    "engine restarting": Moment(r"Starting operation: Docker \| Configure the engine", 4),
    "image pulled": Moment(r"Downloaded newer image for httpd"),
    "files being written": Moment(r"Starting operation: Stack \| Write the files", 2),
    "recreate begins": Moment(r"hearth-ollama +Recreate"),
    "ollama replaced": Moment(r"hearth-ollama +Recreated"),
    "httpd replaced": Moment(r"hearth-httpd +Recreated"),
    "httpd started": Moment(r"hearth-httpd +Started"),
}


def upgrade(images: Images) -> tuple[str, ...]:
    """Settings that change everything: engine, image, files, and both containers."""
    return *images.upgrade(), 'chat_title="Second"', "proxy_timeout=800", 'ollama_keep_alive="20m"'


@pytest.fixture(scope="module")
def recorded(image_registry: Images) -> Iterator[Images]:
    restore("deployed")
    moments.record(PREFIX, MOMENTS, *upgrade(image_registry))
    yield image_registry
    power.delete_disks(PREFIX)


@pytest.mark.parametrize("moment", moments.cases(MOMENTS))
def test_upgrade_is_completed_after_a_power_cut(moment: str, recorded: Images) -> None:
    moments.boot(PREFIX, moment)
    deploy_twice(*upgrade(recorded))
