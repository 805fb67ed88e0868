"""The processor of a Pi, emulated: the unchanged deploy to a Debian arm64 guest, with images of the same sources."""

from __future__ import annotations

import pytest

from hearth.paths import CONTAINERS
from tests.lab.machine import on_guest
from tests.lab.places import place

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.long,
    pytest.mark.guest("arm64"),
    pytest.mark.usefixtures("fresh_guest"),
]


def test_a_fresh_host_is_served_from_after_one_deploy() -> None:
    assert on_guest("dpkg --print-architecture; uname -m") == "arm64\naarch64"
    place.deployed_from_fresh(patience=2 * 3600)


def test_what_runs_in_the_containers_is_for_that_processor() -> None:
    for container in CONTAINERS.values():
        image = on_guest(f"sudo docker inspect --format '{{{{.Image}}}}' {container}")
        assert on_guest(f"sudo docker image inspect --format '{{{{.Architecture}}}}' {image}") == "arm64"


def test_the_second_deploy_changes_nothing() -> None:
    place.quiet()


def test_the_acceptance_suite_passes_as_it_is() -> None:
    place.accepted(patience=2 * 3600)
