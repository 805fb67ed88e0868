"""A disk that is full before a deploy, and one that fills up during it."""

from __future__ import annotations

import threading

import pytest

from tests.lab.checks import deploy_twice, serves
from tests.lab.faults.conftest import LARGE, Images
from tests.lab.machine import deploy, listed_on_guest, on_guest, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]
BALLAST = "/var/ballast"


def leave_free(megabytes: int) -> None:
    """Fill the host's disk until this much is free, including what ext4 reserves for root."""
    on_guest(
        "free=$(stat -f -c '%f*%S/1000000' /); "
        f"sudo fallocate -l $((free - {megabytes}))MB {BALLAST} && df -h / | tail -1"
    )


def containers() -> list[str]:
    return listed_on_guest("sudo docker ps -q --no-trunc")


def test_full_disk_is_refused_before_any_change(images: Images) -> None:
    before = containers()
    leave_free(300)
    run = deploy(*images.upgrade())
    assert run.code != 0
    assert "the disk at / has 0.0 GB free" in run.output or "the disk at / has 0.3 GB free" in run.output, run.output
    assert "nothing was changed" in run.output
    assert images.line.requests == 0
    assert containers() == before
    serves()
    on_guest(f"sudo rm {BALLAST}")
    deploy_twice(*images.upgrade())


def test_disk_that_fills_up_during_a_pull_keeps_the_release(images: Images) -> None:
    before = containers()

    def fill() -> None:
        wait_until(lambda: images.line.requests > 0, 300, "the pull has begun")
        leave_free(200)  # half of what the pull needs

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    run = deploy(*images.upgrade(LARGE), "docker_pull_retries=1")
    filling.join(10)
    assert not filling.is_alive()
    assert run.code != 0
    assert "the host's disk ran full meanwhile" in run.output, run.output
    assert containers() == before
    serves()
    print(f"\nthe disk filled up during the pull: the run ended after {run.seconds:.1f} s")
    on_guest(f"sudo rm {BALLAST}")
    deploy_twice(*images.upgrade(LARGE))
