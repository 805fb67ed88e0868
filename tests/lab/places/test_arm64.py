"""The processor of a Pi, emulated: a deploy to a Debian arm64 guest, with images built from the same sources."""

from __future__ import annotations

import pytest

from hearth.paths import CONTAINERS
from lab import artefacts, image_roots, images
from lab.progress import Stages
from tests.lab.machine import on_guest
from tests.lab.places import steps
from tests.support.elf import alignments

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.long,
    pytest.mark.guest("arm64"),
    pytest.mark.usefixtures("fresh_guest"),
]


def test_first_deploy_to_a_fresh_host() -> None:
    assert on_guest("dpkg --print-architecture; uname -m") == "arm64\naarch64"
    steps.deployed_from_fresh(timeout=2 * 3600)


def test_containers_run_arm64_images() -> None:
    for container in CONTAINERS.values():
        image = on_guest(f"sudo docker inspect --format '{{{{.Image}}}}' {container}")
        assert on_guest(f"sudo docker image inspect --format '{{{{.Architecture}}}}' {image}") == "arm64"


@pytest.mark.unproven
def test_images_can_be_loaded_with_pages_of_16_kb() -> None:
    """A Pi 5 has such a kernel; this guest's has pages of 4 kB."""
    with Stages() as stages:
        made = artefacts.build(("images-arm64",), stages)["images-arm64"]
    for name, image in images.tags(made).items():
        layers = image_roots.layers(made / "storage", image if "/" in image else f"library/{image}")
        found = [one for layer in layers for one in alignments(layer)]
        assert len(found) > 20, name
        assert [one for one in found if one[1] < 16 * 1024] == [], name


def test_second_deploy_changes_nothing() -> None:
    steps.quiet()


def test_acceptance_suite_passes() -> None:
    steps.accepted(timeout=2 * 3600)
