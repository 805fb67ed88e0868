"""The doctor looks at the host from inside (`--inventory`): each thing made wrong there, and found by its name."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from hearth.paths import ROOT as HOST_ROOT
from tests.acceptance.api import call
from tests.lab.machine import INVENTORY, ROOT, on_guest, restore, url, wait_until

pytestmark = pytest.mark.scenario

MB = 1_000_000
DOCKER_DIR = "/var/lib/docker"


def doctor_process(address: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The doctor as a person starts it, but with --json."""
    command = [sys.executable, "-m", "hearth.doctor", address, "--json", "--inventory", INVENTORY, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@dataclass(frozen=True)
class Told:
    """What the doctor said: exit code, findings by their ids, the words of the step on the host."""

    code: int
    findings: dict[str, dict[str, Any]]
    host: str

    def of_the_host(self) -> set[str]:
        return {name for name, finding in self.findings.items() if finding["step"] == "host"}


def doctor(*words: str) -> Told:
    """Ask it, without a question to a model unless `words` have another wish."""
    done = doctor_process(url(), "--timeout", "20", *(words or ("--no-prompt",)))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    document = json.loads(done.stdout)
    steps = {step["name"]: step["seen"] for step in document["steps"]}
    return Told(done.returncode, {finding["id"]: finding for finding in document["findings"]}, steps["host"])


@pytest.mark.usefixtures("deployed")
def test_a_host_that_is_well() -> None:
    told = doctor("--model", "tinyllama")
    assert (told.code, told.findings) == (0, {}), told
    assert "hearth-ollama is running, hearth-httpd is running" in told.host
    assert "GB of disk are free" in told.host


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("service", ["ollama", "httpd"])
def test_a_stopped_container(service: str) -> None:
    on_guest(f"sudo docker stop hearth-{service}")
    told = doctor()
    assert told.code == 1
    # httpd's log has that it could not ask Ollama, too.
    assert told.of_the_host() - {"errors-in-logs"} == {"container-wrong"}
    assert told.findings["container-wrong"]["seen"] == f"hearth-{service} has exited"
    outside = {name for name, finding in told.findings.items() if finding["severity"] == "problem"} - told.of_the_host()
    assert outside == {"ollama-missing"} if service == "ollama" else outside, "the way from outside ends there, too"


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_container_that_reached_its_memory_limit() -> None:
    on_guest(
        "sudo docker update --memory 200m --memory-swap 200m hearth-ollama && "
        "sudo docker exec hearth-ollama bash -c 'head -c 400000000 /dev/zero | tail > /dev/null'; true"
    )
    told = doctor()
    assert told.code == 1
    assert "container-out-of-memory" in told.of_the_host()
    assert "in hearth-ollama:" in told.findings["container-out-of-memory"]["cause"]


@pytest.mark.usefixtures("deployed")
def test_a_disk_that_is_nearly_full() -> None:
    """600 MB are left: too little for the doctor, enough for everything to go on."""
    free = int(on_guest(f"df -PB1 {DOCKER_DIR} | awk 'NR==2 {{print $4}}'"))
    on_guest(f"sudo fallocate -l {free - 600 * MB} {DOCKER_DIR}/filler")
    told = doctor()
    assert (told.code, told.of_the_host()) == (1, {"disk-full"})
    assert 500 < int(told.findings["disk-full"]["seen"].split()[0]) <= 600
    on_guest(f"sudo rm {DOCKER_DIR}/filler")


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_origins_that_were_changed_by_hand() -> None:
    on_guest(
        f"cd {HOST_ROOT} && sudo sed -i 's#OLLAMA_ORIGINS: .*#OLLAMA_ORIGINS: http://by-hand.example#' compose.yaml "
        "&& sudo docker compose up -d --wait ollama",
        timeout=300,
    )
    told = doctor()
    assert (told.code, told.of_the_host()) == (1, {"origins-not-in-force"})
    assert told.findings["origins-not-in-force"]["seen"] == (
        'in force: "http://by-hand.example", wanted: "http://listed.example:8080"'
    )


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_another_ollama_on_the_host_itself() -> None:
    """The real program, copied out of the container."""
    on_guest(
        "sudo docker cp -L -q hearth-ollama:/usr/bin/ollama /usr/local/bin/ollama && "
        "sudo sh -c 'HOME=/root OLLAMA_HOST=0.0.0.0:11435 setsid /usr/local/bin/ollama serve "
        "> /dev/null 2>&1 < /dev/null & echo $! > /run/native-ollama.pid'"
    )
    wait_until(lambda: "11435" in on_guest("sudo ss -Hltn"), 60, "it listens")
    told = doctor()
    assert (told.code, told.of_the_host()) == (0, {"native-ollama"})
    assert told.findings["native-ollama"]["severity"] == "warning"
    assert "11435" in told.findings["native-ollama"]["seen"]
    on_guest("sudo sh -c 'kill $(cat /run/native-ollama.pid)'")


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_damaged_model_leaves_an_error_in_the_log() -> None:
    script = (
        "ollama stop tinyllama; "
        'printf none | dd conv=notrunc status=none of="$(ollama show --modelfile tinyllama | sed -n "s/^FROM //p")"'
    )
    on_guest(f"sudo docker exec hearth-ollama bash -c '{script}'")
    answer = call(url(), "POST", "/api/ollama", {"model": "tinyllama", "prompt": "go", "stream": False})
    assert answer.status == 500, answer
    told = doctor()
    assert (told.code, told.of_the_host()) == (0, {"errors-in-logs"})
    assert "hearth-ollama: [GIN]" in told.findings["errors-in-logs"]["seen"]


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_an_engine_that_is_stopped() -> None:
    """Containers go on without it (`docker_live_restore`); but it is the engine that tells httpd where Ollama is."""
    on_guest("sudo systemctl stop docker.socket docker.service")
    assert call(url(), "GET", "/").status == 200
    told = doctor()
    assert told.code == 1
    assert "engine-silent" in told.of_the_host(), told
    assert "Cannot connect to the Docker daemon" in told.findings["engine-silent"]["seen"]


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_an_engine_that_gives_no_answer() -> None:
    on_guest("sudo pkill -STOP -x dockerd")
    told = doctor()
    assert told.code == 1
    assert "engine-silent" in told.of_the_host(), told
    assert "gave no answer" in told.findings["engine-silent"]["seen"]


@pytest.mark.long
def test_a_host_that_was_never_deployed_to() -> None:
    restore("fresh")
    told = doctor()
    assert told.code == 1
    assert told.of_the_host() == {"not-deployed"}


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_host_that_does_not_let_the_doctor_in() -> None:
    """Without the right to look, what was seen from outside stands."""
    on_guest("sudo mv /etc/sudoers.d/pi /etc/sudoers.d/pi.off")
    told = doctor()
    assert (told.code, set(told.findings)) == (0, {"host-not-looked-at"})
    restore("deployed")
