"""Hosts that are deployed to by several tools: their inventories, what each is to have, and whether it has that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import yaml

from hearth.docker.daemon_json import dump_config, wanted_config
from hearth.render.stack_files import render_tree
from hearth.settings.load import load_settings
from hearth.settings.model import Settings
from hearth.settings.model_names import source_name
from lab.house import House
from tests.support.shipped import defaults

# One that httpd applies with a graceful reload.
SETTING = "proxy_max_streams"
VALUES = (4, 5)
SNAPSHOT = "bench"
# What Ansible needs on a host; a Raspberry Pi has all of it. Docker's packages are downloaded beforehand, so that the
# speed of an archive is not measured.
PREPARE = """
sudo apt-get -qq update
sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3 python3-apt rsync
sudo apt-get -qq install --no-install-recommends --download-only \
  docker.io docker-cli docker-compose iptables ca-certificates
"""
# Containers, models, and whether httpd has loaded its configuration.
STATE = """cd /opt/hearth && sha256sum {files}
sudo docker inspect --format '{{{{.Name}}}} {{{{.State.Health.Status}}}}' hearth-ollama hearth-httpd
sudo docker exec hearth-ollama ollama list | tail -n +2 | cut -d ' ' -f 1
test ! -e .reload-httpd && cat /etc/docker/daemon.json"""


class Fleet:
    """The hosts of a house.

    Args:
        house: its hosts are freshly installed.
        work: an empty directory.
    """

    def __init__(self, house: House, work: Path) -> None:
        self.house, self.work = house, work
        self.names = tuple(house.hosts)

    def settings(self, value: int) -> Settings:
        """The settings of every host, with a value of SETTING."""
        data = {name: one for name, one in self.house.data(self.names[0]).items() if name != "ssh_config_file"}
        return load_settings(defaults() | data | {SETTING: value})

    def tree(self, value: int) -> Path:
        """A directory with the files that a host is to have, with its paths."""
        directory = self.work / f"tree-{value}"
        if not directory.exists():
            settings = self.settings(value)
            files = {f"opt/hearth/{path}": content for path, content in render_tree(settings).items()}
            files["etc/docker/daemon.json"] = self._daemon_json(settings).encode()
            for path, content in files.items():
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_bytes(content)
        return directory

    def _daemon_json(self, settings: Settings) -> str:
        return dump_config(wanted_config(settings, {}))

    def models(self, value: int) -> dict[str, str]:
        """Models, with their names in the registry."""
        settings = self.settings(value)
        return {name: source_name(name, settings.ollama_model_registry) for name in settings.pulled_models}

    def inventory(self, hosts: Sequence[str]) -> Path:
        """An inventory for Hearth."""
        path = self.work / f"inventory_{len(hosts)}.py"
        path.write_text(f"house = {[(name, self.house.data(name)) for name in hosts]!r}\n")
        return path

    def ansible_inventory(self, hosts: Sequence[str]) -> Path:
        """An inventory for Ansible."""
        path = self.work / f"hosts_{len(hosts)}.yml"
        options = {"ansible_ssh_common_args": f"-F {self.house.ssh_config}"}
        path.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(hosts), "vars": options}}))
        return path

    def prepare(self, name: str) -> None:
        """Install on a fresh host what one comes with."""
        self.house.ssh(name, f"set -e; {PREPARE}", 600)

    def verify(self, hosts: Iterable[str], value: int) -> None:
        """Fail unless files, containers and models of hosts are as every tool is to leave them."""
        settings = self.settings(value)
        files = {path: sha256(content).hexdigest() for path, content in render_tree(settings).items()}
        expected = [f"{digest}  {path}" for path, digest in files.items()]
        expected += ["/hearth-ollama healthy", "/hearth-httpd healthy"]
        expected += [f"{name}:latest" for name in settings.pulled_models]
        expected += self._daemon_json(settings).splitlines()
        for name in hosts:
            found = self.house.ssh(name, STATE.format(files=" ".join(files))).splitlines()
            different = [line for line in expected if line not in found] + [
                line for line in found if line not in expected
            ]
            assert not different, f"{name} differs from what it is to be: {different}"

    def break_container(self, name: str) -> None:
        """Remove a container."""
        self.house.ssh(name, "sudo docker rm -f hearth-httpd")
