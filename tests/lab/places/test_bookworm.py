"""Debian 12, whose own Docker won't do: the deploy takes Docker's packages, from a stand-in for its repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

import lab
from hearth.platforms import DOCKER_CE
from tests.lab import backend
from tests.lab.machine import INVENTORY, PYINFRA, ROOT, deploy, on_guest
from tests.lab.verdict import serves

pytestmark = [pytest.mark.scenario, pytest.mark.unproven, pytest.mark.guest("bookworm")]


@pytest.fixture(scope="module", autouse=True)
def fresh() -> Iterator[None]:
    """The guest as after its first boot, with the backend that was there before; off again at the end."""
    for words in (["up"], ["restore", "fresh"]):
        subprocess.run([sys.executable, "-m", "lab", *words], cwd=ROOT, check=True, timeout=3600)
    backend.start()
    yield
    subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, check=True, timeout=180)


def test_a_fresh_host_is_served_from_after_one_deploy() -> None:
    assert on_guest(". /etc/os-release; echo $ID $VERSION_ID") == "debian 12"
    assert on_guest("command -v docker || true") == ""
    done = subprocess.run([PYINFRA, "-y", INVENTORY, "deploy.py"], cwd=ROOT, check=False, timeout=2400)
    assert done.returncode == 0
    serves(tuple(lab.status().models))


def test_docker_came_from_the_repository_that_the_settings_name() -> None:
    """Each package is of the repository's version, which Debian has none of, and apt knows where from."""
    versions = on_guest(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(DOCKER_CE)}")
    found = dict(line.split() for line in versions.splitlines())
    assert set(found) == set(DOCKER_CE)
    assert all(version.endswith("~hearth~bookworm") for version in found.values()), found
    source = on_guest("cat /etc/apt/sources.list.d/docker.sources")
    assert f"URIs: {lab.status().docker_apt_url}/debian\n" in source + "\n"
    assert "Suites: bookworm\n" in source
    # What apt took was signed by the key that the deploy put there: it refuses unsigned packages, and had no other key.
    assert "Signed-By: /etc/apt/keyrings/docker.asc" in source
    assert on_guest("dpkg-query -W -f '${db:Status-Status}' docker.io 2>/dev/null || true") in ("", "not-installed")


def test_the_second_deploy_changes_nothing() -> None:
    again = deploy()
    print(f"\n  second deploy: {again.seconds:.1f} s")
    assert (again.code, again.changed) == (0, ()), again.output


def test_the_acceptance_suite_passes_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", INVENTORY],
        cwd=ROOT,
        check=False,
        timeout=2400,
    )
    assert done.returncode == 0


def test_what_was_stopped_is_put_right_there_too() -> None:
    on_guest("sudo systemctl disable --now docker.service docker.socket containerd.service")
    repaired = deploy()
    assert repaired.code == 0, repaired.output
    assert repaired.changed, repaired.output
    serves()
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
