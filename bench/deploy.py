"""Hearth's deploy next to an Ansible playbook and a shell script, on the lab's machine: `python -m bench.deploy`.

All three bring the same host to the same state, in turn, so that what else happens on the machine affects all of them.
After each run, the state is verified. One `ssh … docker compose ps` in each round is the unit of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

import lab
from hearth.docker.daemon_json import dump_config, wanted_config
from hearth.render.stack_files import render_tree
from hearth.settings.load import load_settings
from hearth.settings.model import Settings
from tests.lab.machine import INVENTORY, on_guest
from tests.support.shipped import defaults

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PEERS = HERE / "peers/deploy"
UNIT = "docker compose ps"
# One that httpd applies with a graceful reload; each run changes it again.
SETTING = "proxy_max_streams"
VALUES = (4, 5)
SCENARIOS = ("no-op", "one setting", "stopped container")
STOP = "sudo docker stop -t 1 hearth-httpd"
Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class Host:
    """The host, and what it is to have: the setting's value → files and Hearth's arguments."""

    inventory: Mapping[str, Any]
    ssh: tuple[str, ...]
    name: str
    work: Path

    def settings(self, value: int) -> Settings:
        data = {key: one for key, one in self.inventory.items() if not key.startswith(("x_", "ssh_"))}
        return load_settings(defaults() | data | {SETTING: value})

    def tree(self, value: int) -> Path:
        """A directory with the stack's files, as rendered by Hearth."""
        directory = self.work / f"tree-{value}"
        if not directory.exists():
            for path, content in render_tree(self.settings(value)).items():
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_bytes(content)
        return directory

    def daemon_json(self) -> str:
        return dump_config(wanted_config(self.settings(VALUES[0]), {}))

    def verify(self, value: int) -> None:
        """Fail unless files and containers are as all three are to leave them."""
        files = {path: sha256(content).hexdigest() for path, content in render_tree(self.settings(value)).items()}
        out = on_guest(
            f"cd /opt/hearth && sha256sum {' '.join(files)}; sudo docker inspect --format "
            "'{{.State.Health.Status}}' hearth-ollama hearth-httpd; test ! -e /opt/hearth/.reload-httpd && echo loaded"
        ).splitlines()
        found = {path: digest for digest, _, path in (line.partition("  ") for line in out[: len(files)])}
        different = [path for path, digest in files.items() if found.get(path) != digest]
        assert not different, f"these files differ: {different}"
        assert out[len(files) :] == ["healthy", "healthy", "loaded"], out[len(files) :]


def hearth(_host: Host, value: int) -> list[str]:
    command = "from hearth.cli.command import main; main()"
    return [sys.executable, "-c", command, "deploy", INVENTORY, "--yes", "--data", f"{SETTING}={value}"]


def shell(host: Host, value: int) -> list[str]:
    models = " ".join(host.settings(value).pulled_models)
    return ["sh", str(PEERS / "provision.sh"), str(host.tree(value)), host.daemon_json(), models, *host.ssh]


def ansible(program: Path) -> Callable[[Host, int], list[str]]:
    """With the playbook of `peers/`; `program` is its `ansible-playbook`."""

    def command(host: Host, value: int) -> list[str]:
        inventory = host.work / "hosts.yml"
        options = f"-F {host.ssh[2]}"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {host.name: {"ansible_ssh_common_args": options}}}}))
        extra = {
            "tree": str(host.tree(value)),
            "daemon_json": host.daemon_json(),
            "models": list(host.settings(value).pulled_models),
        }
        return [str(program), "-i", str(inventory), "-e", json.dumps(extra), str(PEERS / "playbook.yml")]

    return command


def timed(words: list[str], log: Path, environment: Mapping[str, str]) -> float:
    """Seconds that a command takes; it must succeed."""
    begun = time.monotonic()
    with log.open("ab") as output:
        code = subprocess.run(
            words,
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            timeout=900,
        ).returncode
    seconds = time.monotonic() - begun
    if code:
        raise SystemExit(f"exit code {code}: {' '.join(words)[:300]}\n{log.read_text(errors='replace')[-3000:]}")
    return seconds


def tools_environment(directory: Path) -> Path:
    """A virtual environment with Ansible and matplotlib, apart from Hearth's own."""
    python = directory / "bin/python"
    if not python.exists():
        print(f"Installing Ansible and matplotlib into {directory} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([str(python), *words, "-r", str(HERE / "requirements-deploy.txt")], check=True)
    return python


def measure(
    host: Host, tools: Mapping[str, Callable[[Host, int], list[str]]], rounds: Mapping[str, int]
) -> dict[str, Seconds]:
    """Seconds of each run: scenario → tool → one figure per round, and those of the unit."""
    found: dict[str, Seconds] = {}
    value = VALUES[0]
    unit = [*host.ssh, "cd /opt/hearth && sudo docker compose ps"]
    names = list(tools)
    for scenario in SCENARIOS:
        seconds = found[scenario] = {name: [] for name in (UNIT, *names)}
        for number in range(rounds[scenario]):
            seconds[UNIT].append(timed(unit, host.work / "log", {}))
            for name in names[number % len(names) :] + names[: number % len(names)]:
                if scenario == "one setting":
                    value = VALUES[value == VALUES[0]]
                elif scenario == "stopped container":
                    on_guest(STOP)
                words = tools[name](host, value)
                # Each run starts without an open connection, like one that a timer starts.
                with tempfile.TemporaryDirectory() as sockets:
                    environment = {
                        "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
                        "ANSIBLE_CONFIG": str(PEERS / "ansible.cfg"),
                    }
                    took = timed(words, host.work / "log", environment)
                    close(host, Path(sockets))
                host.verify(value)
                seconds[name].append(took)
                print(f"{scenario}, round {number + 1} of {rounds[scenario]}: {name} {took:.1f} s", flush=True)
    return found


def close(host: Host, sockets: Path) -> None:
    """End the connections that Ansible leaves open."""
    for path in sockets.iterdir():
        words = ["ssh", "-o", f"ControlPath={path}", "-O", "exit", host.name]
        subprocess.run(words, check=False, capture_output=True)


def table(found: Mapping[str, Seconds]) -> str:
    """A Markdown table: median seconds, and the median of the ratios to the unit, round by round."""
    names = list(next(iter(found.values())))
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for scenario, seconds in found.items():
        cells = []
        for name in names:
            ratio = statistics.median(one / unit for one, unit in zip(seconds[name], seconds[UNIT], strict=True))
            cells.append(f"{statistics.median(seconds[name]):.1f} s" + ("" if name == UNIT else f" ({ratio:.1f}×)"))
        lines.append(f"| {scenario} ({len(seconds[UNIT])} runs) | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure a deployed lab, and write table, JSON and plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the no-op; the others have --change-rounds")
    parser.add_argument("--change-rounds", type=int, default=5)
    parser.add_argument(
        "--tools", type=Path, default=PROJECT / "build/bench-tools", help="virtual environment to create"
    )
    options = parser.parse_args()
    python = tools_environment(options.tools)
    status = lab.status(must_run=True)
    on_guest(
        "command -v python3 >/dev/null || sudo apt-get install -y --no-install-recommends python3 python3-apt", 600
    )
    from inventory.lab import lab as hosts

    [(name, data)] = hosts
    with tempfile.TemporaryDirectory() as work:
        host = Host(data, ("ssh", "-F", status.ssh_config, name), name, Path(work))
        tools = {"shell": shell, "Hearth": hearth, "Ansible": ansible(python.parent / "ansible-playbook")}
        for one in tools.values():  # a first run of each, which is not counted
            timed(one(host, VALUES[0]), host.work / "log", {"ANSIBLE_CONFIG": str(PEERS / "ansible.cfg")})
            host.verify(VALUES[0])
        rounds = dict.fromkeys(SCENARIOS, options.change_rounds) | {"no-op": options.rounds}
        found = measure(host, tools, rounds)
    document = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; guest: {status.accel}",
        "load": os.getloadavg(),
        "seconds": found,
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "deploy.json").write_text(json.dumps(document, indent=1) + "\n")
    print(table(found))
    subprocess.run([str(python), str(HERE / "plot_deploy.py"), str(results / "deploy.json")], check=True)


if __name__ == "__main__":
    main()
