"""A host whose images and models come over TLS from a server with a CA of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import artefacts
from lab.house import House
from tests.house.tls_registries import serve_over_tls
from tests.lab.machine import Run, deploy, pyinfra, wait_until

pytestmark = pytest.mark.long


class Site:
    """A host, and two registries with TLS on this machine."""

    def __init__(self, house: House, parts: artefacts.Paths, directory: Path, stack: ExitStack) -> None:
        self.house, self._directory = house, directory
        self.ca, self.urls = serve_over_tls(house, parts, directory, stack)

    @property
    def inventory(self) -> Path:
        return self._directory / "inventory.py"

    def deploy(self, **settings: object) -> Run:
        images, models = self.urls
        data = self.house.data("h1") | {"docker_registry_mirrors": [images], "ollama_model_registry": models}
        self.inventory.write_text(f"hosts = [('h1', {data | settings!r})]\n")
        return deploy(inventory=str(self.inventory))

    def on_host(self, command: str) -> str:
        return self.house.ssh("h1", command, timeout=120)


@pytest.fixture(scope="module")
def site(house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        house = stack.enter_context(House(house_parts, tmp_path_factory.mktemp("house"), 1))
        yield Site(house, house_parts, tmp_path_factory.mktemp("company"), stack)


def test_a_ca_of_ones_own(site: Site) -> None:
    trusting = {"host_trusted_ca": str(site.ca)}

    # A file that can't be used is refused before anything is changed.
    refused = site.deploy(host_trusted_ca=str(site.ca) + ".missing")
    assert refused.code != 0
    assert "could not read" in refused.output
    assert site.on_host("command -v docker || echo none") == "none"

    # Without it, no model is pulled. (Docker would ask Docker Hub instead of a mirror that it does not trust.)
    unknown = site.deploy(docker_registry_mirrors=[site.house.registry_mirror])
    assert unknown.code != 0
    assert "host_trusted_ca" in unknown.output, unknown.output[-3000:]

    # With it, images and models are pulled, and the second deploy changes nothing.
    first = site.deploy(**trusting)
    assert first.code == 0, first.output
    assert "tinyllama" in site.on_host("sudo docker exec hearth-ollama ollama list")
    second = site.deploy(**trusting)
    assert (second.code, second.changed) == (0, ()), second.output

    # What somebody removed is added again.
    site.on_host("sudo rm /usr/local/share/ca-certificates/hearth/*.crt; sudo update-ca-certificates --fresh")
    repaired = site.deploy(**trusting)
    assert repaired.code == 0, repaired.output
    assert "Network | Trust additional CAs" in repaired.changed
    site.on_host("sudo docker exec hearth-ollama ollama rm tinyllama")
    assert site.deploy(**trusting).code == 0
    assert "tinyllama" in site.on_host("sudo docker exec hearth-ollama ollama list")

    # Emptied, the host no longer trusts it. The models and images are there, so nothing is pulled.
    emptied = site.deploy()
    assert emptied.code == 0, emptied.output
    assert site.on_host("ls -d /usr/local/share/ca-certificates/hearth 2>/dev/null || true") == ""
    mounts = site.on_host("sudo docker inspect -f '{{range .Mounts}}{{.Source}} {{end}}' hearth-ollama hearth-httpd")
    assert "/etc/ssl/certs" not in mounts
    assert site.deploy().changed == ()

    # An uninstall removes it, too.
    assert site.deploy(**trusting).code == 0
    removed = pyinfra("deploys/uninstall.py", inventory=str(site.inventory))
    assert removed.code == 0, removed.output
    assert site.on_host("ls -d /opt/hearth /usr/local/share/ca-certificates/hearth 2>/dev/null || true") == ""
    wait_until(lambda: site.on_host("systemctl is-active docker") == "active", 60, "the engine runs")
