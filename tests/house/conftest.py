"""Gateways and backends, deployed from one inventory; needs root, since the hosts are containers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import artefacts
from lab.house import MODELS, NEEDED, House
from lab.progress import Stages
from tests.support.shipped import PROJECT

# Host → its settings, besides those of every host of the house.
Roles = Mapping[str, Mapping[str, object]]
GATEWAY = "h1"
# Seconds until gateways know that a backend is gone, or back. Health checks: every second, and a second for a machine
# that does not answer; then what a busy computer adds.
NOTICED = 20.0


class Deployed:
    """The house, and what is deployed to it; h1 is the gateway.

    Attributes:
        url: of the gateway's page.
        backends: the hosts with an Ollama.
        inventory: the file.
    """

    def __init__(self, house: House, directory: Path, roles: Roles) -> None:
        self.house = house
        self.url = self.url_of(GATEWAY)
        self.backends = [name for name, role in roles.items() if role.get("host_role") != "gateway"]
        self._roles = roles
        self.inventory = directory / "inventory.py"
        self.write({})

    def url_of(self, host: str) -> str:
        """Of a host's page."""
        return f"http://{self.house.hosts[host].address}:85"

    def write(self, changed: dict[str, object], only: str = "") -> None:
        """Write the inventory, with other settings of the backends, or of one of them."""
        models = {"ollama_models": list(MODELS), "ollama_max_loaded_models": 2, "ollama_num_parallel": 4}
        changing = [only] if only else self.backends
        hosts = {
            name: self.house.data(name) | models | dict(role) | (changed if name in changing else {})
            for name, role in self._roles.items()
        }
        self.inventory.write_text(f"house = {list(hosts.items())!r}\n")

    def start(self, *options: str, run: str = "deploy.py") -> subprocess.Popen[str]:
        """Begin a deploy, or another run."""
        return self._start("hearth.cli.pyinfra_main", str(self.inventory), run, "-y", *options)

    def deploy(self, *options: str, run: str = "deploy.py") -> tuple[int, str]:
        """Deploy, or another run: the exit code, and all output."""
        return self._finish(self.start(*options, run=run))

    def check_that_nothing_differs(self) -> None:
        """A deploy changes nothing, and drift finds nothing."""
        begun = time.monotonic()
        code, output = self.deploy()
        print(f"no-op deploy of {len(self._roles)} hosts: {time.monotonic() - begun:.1f} s")
        assert code == 0
        assert output.count("changed: nothing") == len(self._roles)
        code, output = self.drift()
        assert code == 0
        assert output.count("in sync") == len(self._roles)

    def drift(self) -> tuple[int, str]:
        """`hearth drift`: the exit code, and all output."""
        return self._finish(self._start("hearth.drift", str(self.inventory)))

    def verify(self, *options: str) -> tuple[int, str]:
        """`hearth verify`, with a line for each test, and pytest's options: the exit code, and all output."""
        return self._finish(self._start("hearth.cli.command", "verify", str(self.inventory), "--", "-v", *options))

    def make_image(self, name: str, change: str, service: str = "ollama") -> None:
        """Make an image on all backends: a service's, with a change in a Containerfile's language."""
        current = self.house.images[service]
        for one in self.backends:
            self.house.ssh(
                one,
                f"c=$(sudo docker create {current}) && sudo docker commit -c '{change}' $c {name} && sudo docker rm $c",
            )

    def image(self, backend: str, service: str = "ollama") -> str:
        """The image of a service's container."""
        return self.house.ssh(backend, f"sudo docker inspect -f '{{{{.Config.Image}}}}' hearth-{service}")

    def started(self, backend: str) -> str:
        """When Ollama's container was started: ISO 8601, UTC."""
        return self.house.ssh(backend, "sudo docker inspect -f '{{.State.StartedAt}}' hearth-ollama")

    def marks(self, gateway: str = GATEWAY) -> str:
        """The backends that a gateway leaves out."""
        return self.house.ssh(gateway, "cat /opt/hearth/httpd/drained.conf 2>/dev/null; true")

    def _start(self, module: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _ = process.communicate(timeout=600)
        print(output)
        return process.returncode, output


@pytest.fixture(scope="session")
def house_parts() -> artefacts.Paths:
    """The artefacts that a house needs."""
    if os.geteuid() != 0:
        pytest.skip("a house needs root")
    with Stages() as stages:
        return artefacts.build(NEEDED, stages)


@pytest.fixture(scope="module")
def deploy_house(
    house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Roles], Deployed]]:
    """Starts hosts, and deploys to all of them in one run."""
    with ExitStack() as stack:

        def deploy(roles: Roles) -> Deployed:
            directory = tmp_path_factory.mktemp("house")
            found = Deployed(stack.enter_context(House(house_parts, directory, len(roles))), directory, roles)
            code, output = found.deploy()
            assert code == 0, output[-3000:]
            return found

        yield deploy
