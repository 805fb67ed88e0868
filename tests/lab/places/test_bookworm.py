"""Debian 12, whose own Docker is too old: the deploy installs Docker's packages, from a replica of its repository."""

from __future__ import annotations

import pytest

import lab
from hearth.docker.packages import DOCKER_CE
from tests.lab.checks import refused, serves
from tests.lab.machine import deploy, on_guest, restore
from tests.lab.places import steps

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.long,
    pytest.mark.guest("bookworm"),
    pytest.mark.usefixtures("fresh_guest"),
]


def test_first_deploy_to_a_fresh_host() -> None:
    assert on_guest(". /etc/os-release; echo $ID $VERSION_ID") == "debian 12"
    assert 'has no Compose plugin in its packages; use "docker" or "auto"' in refused('docker_source="distribution"')
    steps.deployed_from_fresh(timeout=2400)


def test_docker_is_installed_from_the_configured_repository() -> None:
    """Each package has a version that only this repository has, and apt lists it as the source."""
    versions = on_guest(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(DOCKER_CE)}")
    found = dict(line.split() for line in versions.splitlines())
    assert set(found) == set(DOCKER_CE)
    assert all(version.endswith("~hearth~bookworm") for version in found.values()), found
    source = on_guest("cat /etc/apt/sources.list.d/docker.sources")
    assert f"URIs: {lab.status().docker_apt_url}/debian\n" in source + "\n"
    assert "Suites: bookworm\n" in source
    # The packages were signed with the installed key: apt refuses unsigned packages, and had no other key.
    assert "Signed-By: /etc/apt/keyrings/docker.asc" in source
    assert on_guest("dpkg-query -W -f '${db:Status-Status}' docker.io 2>/dev/null || true") in ("", "not-installed")


def test_second_deploy_changes_nothing() -> None:
    steps.quiet()


def test_acceptance_suite_passes() -> None:
    steps.accepted(timeout=2400)


def test_stopped_services_are_started_again() -> None:
    on_guest("sudo systemctl disable --now docker.service docker.socket containerd.service")
    repaired = deploy()
    assert repaired.code == 0, repaired.output
    assert repaired.changed, repaired.output
    serves()
    steps.quiet()


def test_outdated_docker_of_debian_is_replaced() -> None:
    """With a manually installed Compose, which Debian 12 lacks; then with the fix of docs/preflight.md."""
    restore("fresh")
    apt = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq -y"
    source = f"deb [trusted=yes] {lab.status().docker_apt_url}/debian bookworm stable"
    on_guest(
        f"""set -e
cd /tmp
echo '{source}' | sudo tee /etc/apt/sources.list.d/once.list
{apt} update
{apt} download docker-compose-plugin
sudo rm /etc/apt/sources.list.d/once.list
{apt} --no-install-recommends install docker.io </dev/null >/dev/null
dpkg -x docker-compose-plugin_*.deb plugin
sudo mkdir -p /usr/local/lib/docker
sudo cp -r plugin/usr/libexec/docker/cli-plugins /usr/local/lib/docker/""",
        timeout=1200,
    )
    assert on_guest("sudo docker version -f '{{.Server.Version}}'").startswith("20.")
    assert "the Docker engine is 20." in refused()
    on_guest(f"{apt} remove docker.io </dev/null >/dev/null", timeout=300)
    steps.deployed_from_fresh(timeout=2400)
