"""A shared host: Docker with a container, Apache, ufw, a backend and a natively installed Ollama.

Hearth reports what it found, refuses conflicts, and does not change any of it.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import lab
from hearth.paths import DAEMON_JSON
from tests.acceptance.api import call
from tests.lab import backend
from tests.lab.checks import serves
from tests.lab.machine import deploy, on_guest, restore
from tests.lab.places import steps

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]
INVENTORY = "tests/lab/places/shared_host_inventory.py"
STORE = "/usr/share/ollama/.ollama"
_SETUP = Path(__file__).with_name("shared_host.sh")

# What Hearth must not change, a line each: files with owners and content, processes (not restarted), rules.
FILES = (
    "sudo find /etc/ufw /etc/apache2 /etc/default/ufw /var/www /etc/systemd/system/ollama.service /usr/local/bin "
    f"{STORE} -type f -printf '%p %u %m ' -exec sha256sum {{}} \\;"
)
PROCESSES = (
    "sudo docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.State.Pid}} {{.Image}}' old-blog; "
    "sudo docker network inspect -f '{{.Id}} {{.IPAM.Config}}' blog bridge; "
    "systemctl show apache2 test-backend --property=Id,InvocationID,ActiveState; "
    "systemctl is-enabled apache2 ufw docker containerd; systemctl is-enabled ollama || true"
)
RULES = "sudo iptables -S | grep ufw; sudo ip6tables -S | grep ufw; sudo ufw status verbose"
PACKAGES = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'"


def lines(command: str) -> list[str]:
    return on_guest(command, timeout=180).splitlines()


@pytest.fixture(scope="module", autouse=True)
def _shared_host() -> None:
    restore("fresh")
    status = lab.status(must_run=True)
    given = (status.registry_mirror, status.model_registry, status.images["httpd"], status.images["ollama"])
    words = shlex.join(["sh", "-c", _SETUP.read_text(), "shared_host", *given])
    on_guest(f"sudo {words}", timeout=1800)
    backend.start()


def test_native_ollama_on_the_port_is_refused_and_its_models_offered() -> None:
    before = [lines(one) for one in (FILES, PROCESSES, RULES, PACKAGES, f"cat {DAEMON_JSON}")]
    run = deploy()
    assert run.code != 0
    assert "ollama_publish = '127.0.0.1:11434': the port is held by ollama (process" in run.output, run.output
    assert "sudo systemctl disable --now ollama" in run.output
    assert f"To keep using its models (tinyllama:latest): ollama_models_dir = '{STORE}'" in run.output
    second = deploy('ollama_publish="127.0.0.1:11435"', inventory=INVENTORY)
    assert second.code != 0
    assert "delete each other's half-pulled models" in second.output, second.output
    assert [lines(one) for one in (FILES, PROCESSES, RULES, PACKAGES, f"cat {DAEMON_JSON}")] == before
    assert on_guest("ls -d /opt/hearth 2>/dev/null; true") == ""


def test_deploy_leaves_existing_services_unchanged() -> None:
    on_guest("sudo systemctl disable --now ollama")
    files, processes, rules, packages = (lines(one) for one in (FILES, PROCESSES, RULES, PACKAGES))
    theirs = json.loads(on_guest(f"cat {DAEMON_JSON}"))

    first = deploy(timeout=1800, inventory=INVENTORY)
    assert first.code == 0, first.output
    for found in (
        "found: other containers, which keep running: old-blog",
        "found: /etc/docker/daemon.json with your own settings (default-address-pools, labels, registry-mirrors)",
        "found: ufw, whose rules stay",
        "apache2 on 80",
    ):
        assert found in first.output, first.output
    serves(tuple(lab.status().models))
    quiet = deploy(inventory=INVENTORY)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    assert "found:" not in quiet.output, "only reported once"

    assert set(files) <= set(lines(FILES)), "byte for byte, with their owners"
    assert lines(PROCESSES) == processes, "nothing was restarted, including the container"
    assert lines(RULES) == rules
    assert set(packages) <= set(lines(PACKAGES))
    merged = json.loads(on_guest(f"cat {DAEMON_JSON}"))
    assert {key: merged[key] for key in theirs} == theirs
    address, port = "127.0.0.1", lab.status().forwards["80"]
    assert b"was here before" in call(f"http://{address}:{port}", "GET", "/").body
    print(f"\nshared host: deployed in {first.seconds:.1f} s, quiet in {quiet.seconds:.1f} s")
    steps.accepted(timeout=2400, inventory=INVENTORY)
