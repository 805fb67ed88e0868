"""Docker installations that Hearth can't use or must not replace: the message, and that nothing was changed."""

from __future__ import annotations

import json
import shlex

import pytest

import lab
from tests.lab.checks import refused
from tests.lab.machine import HTTPD_IMAGE, on_guest, restore

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]

INSTALL = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install"


@pytest.fixture(scope="module", autouse=True)
def _existing_docker() -> None:
    restore("fresh")
    config = shlex.quote(json.dumps({"registry-mirrors": [lab.status(must_run=True).registry_mirror]}))
    on_guest(f"sudo mkdir -p /etc/docker && echo {config} | sudo tee /etc/docker/daemon.json >/dev/null")
    on_guest(
        f"sudo apt-get -qq update && {INSTALL} docker.io docker-cli iptables ca-certificates </dev/null >/dev/null",
        timeout=900,
    )
    on_guest(f"sudo docker run -d --name old-blog --entrypoint sleep {HTTPD_IMAGE} infinity", timeout=600)


def test_docker_with_running_containers_is_not_replaced() -> None:
    said = refused('docker_source="docker"')
    assert "docker-ce would replace docker.io, which is installed" in said
    assert "stop its running containers (old-blog)" in said


def test_docker_in_swarm_mode_is_refused() -> None:
    on_guest("sudo docker swarm init --advertise-addr 127.0.0.1")
    assert "Docker is in swarm mode, in which its engine refuses to start with docker_live_restore = True" in refused()
    on_guest("sudo docker swarm leave --force")


def test_podman_docker_is_refused() -> None:
    """Last, since it replaces Debian's client."""
    on_guest(f"{INSTALL} podman-docker </dev/null >/dev/null", timeout=900)
    assert "the command `docker` is Podman's (package podman-docker)" in refused()
