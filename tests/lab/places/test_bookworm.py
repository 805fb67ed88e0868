"""Debian 12, whose own Docker won't do: the deploy takes Docker's packages, from a stand-in for its repository."""

from __future__ import annotations

import pytest

import lab
from hearth.docker.packages import DOCKER_CE
from tests.lab.machine import deploy, on_guest, restore
from tests.lab.places import place
from tests.lab.verdict import refused, serves

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.long,
    pytest.mark.guest("bookworm"),
    pytest.mark.usefixtures("fresh_guest"),
]


def test_a_fresh_host_is_served_from_after_one_deploy() -> None:
    assert on_guest(". /etc/os-release; echo $ID $VERSION_ID") == "debian 12"
    assert 'has no Compose plugin in its packages; use "docker" or "auto"' in refused('docker_source="distribution"')
    place.deployed_from_fresh(patience=2400)


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
    place.quiet()


def test_the_acceptance_suite_passes_as_it_is() -> None:
    place.accepted(patience=2400)


def test_what_was_stopped_is_put_right_there_too() -> None:
    on_guest("sudo systemctl disable --now docker.service docker.socket containerd.service")
    repaired = deploy()
    assert repaired.code == 0, repaired.output
    assert repaired.changed, repaired.output
    serves()
    place.quiet()


def test_debians_own_docker_is_too_old_and_gives_way() -> None:
    """With Compose put beside it by hand, which Debian 12 has none of. Then what docs/preflight.md says to do."""
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
    place.deployed_from_fresh(patience=2400)
