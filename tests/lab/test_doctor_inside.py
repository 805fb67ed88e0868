"""The doctor inspects the host from inside (`--inventory`): each fault is caused there, and reported by its id."""

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


def doctor_process(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor as a user does, but with --json."""
    command = [sys.executable, "-m", "hearth.doctor", address, "--json", "--inventory", INVENTORY, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@dataclass(frozen=True)
class Report:
    """The doctor's report: exit code, findings by id, the text of the step `host`."""

    code: int
    findings: dict[str, dict[str, Any]]
    host: str

    def of_the_host(self) -> set[str]:
        return {name for name, finding in self.findings.items() if finding["step"] == "host"}


def doctor(*arguments: str) -> Report:
    """Run it, with --no-prompt unless other arguments are given."""
    done = doctor_process(url(), "--timeout", "20", *(arguments or ("--no-prompt",)))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    document = json.loads(done.stdout)
    steps = {step["name"]: step["seen"] for step in document["steps"]}
    return Report(done.returncode, {finding["id"]: finding for finding in document["findings"]}, steps["host"])


@pytest.mark.usefixtures("deployed")
def test_no_problem_is_found() -> None:
    report = doctor("--model", "tinyllama")
    assert (report.code, report.findings) == (0, {}), report
    assert "hearth-ollama is running, hearth-httpd is running" in report.host
    assert "GB of disk space free" in report.host


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("service", ["ollama", "httpd"])
def test_a_stopped_container(service: str) -> None:
    on_guest(f"sudo docker stop hearth-{service}")
    report = doctor()
    assert report.code == 1
    # httpd logs that it could not reach Ollama, too.
    assert report.of_the_host() - {"errors-in-logs"} == {"container-wrong"}
    assert report.findings["container-wrong"]["seen"] == f"hearth-{service} has exited"
    outside = {
        name for name, finding in report.findings.items() if finding["severity"] == "problem"
    } - report.of_the_host()
    assert outside == {"ollama-missing"} if service == "ollama" else outside, "the doctor finds it from outside, too"


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_container_reached_its_memory_limit() -> None:
    on_guest(
        "sudo docker update --memory 200m --memory-swap 200m hearth-ollama && "
        "sudo docker exec hearth-ollama bash -c 'head -c 400000000 /dev/zero | tail > /dev/null'; true"
    )
    report = doctor()
    assert report.code == 1
    assert "container-out-of-memory" in report.of_the_host()
    assert "in hearth-ollama:" in report.findings["container-out-of-memory"]["cause"]


@pytest.mark.usefixtures("deployed")
def test_a_nearly_full_disk() -> None:
    """600 MB are left: too little for the doctor, enough for everything to keep running."""
    free = int(on_guest(f"df -PB1 {DOCKER_DIR} | awk 'NR==2 {{print $4}}'"))
    on_guest(f"sudo fallocate -l {free - 600 * MB} {DOCKER_DIR}/filler")
    report = doctor()
    assert (report.code, report.of_the_host()) == (1, {"disk-full"})
    assert 500 < int(report.findings["disk-full"]["seen"].split()[0]) <= 600
    on_guest(f"sudo rm {DOCKER_DIR}/filler")


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_origins_that_were_changed_manually() -> None:
    on_guest(
        f"cd {HOST_ROOT} && sudo sed -i 's#OLLAMA_ORIGINS: .*#OLLAMA_ORIGINS: http://manual.example#' compose.yaml "
        "&& sudo docker compose up -d --wait ollama",
        timeout=300,
    )
    report = doctor()
    assert (report.code, report.of_the_host()) == (1, {"origins-not-in-force"})
    assert report.findings["origins-not-in-force"]["seen"] == (
        'active: "http://manual.example", configured: "http://listed.example:8080"'
    )


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_natively_installed_ollama() -> None:
    """The real program, copied from the container."""
    on_guest(
        "sudo docker cp -L -q hearth-ollama:/usr/bin/ollama /usr/local/bin/ollama && "
        "sudo sh -c 'HOME=/root OLLAMA_HOST=0.0.0.0:11435 setsid /usr/local/bin/ollama serve "
        "> /dev/null 2>&1 < /dev/null & echo $! > /run/native-ollama.pid'"
    )
    wait_until(lambda: "11435" in on_guest("sudo ss -Hltn"), 60, "it listens")
    report = doctor()
    assert (report.code, report.of_the_host()) == (0, {"native-ollama"})
    assert report.findings["native-ollama"]["severity"] == "warning"
    assert "11435" in report.findings["native-ollama"]["seen"]
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
    report = doctor()
    assert (report.code, report.of_the_host()) == (0, {"errors-in-logs"})
    assert "hearth-ollama: [GIN]" in report.findings["errors-in-logs"]["seen"]


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_stopped_engine() -> None:
    """Containers keep running without it (`docker_live_restore`), but httpd needs it to resolve Ollama's name."""
    on_guest("sudo systemctl stop docker.socket docker.service")
    assert call(url(), "GET", "/").status == 200
    report = doctor()
    assert report.code == 1
    assert "engine-silent" in report.of_the_host(), report
    assert "Cannot connect to the Docker daemon" in report.findings["engine-silent"]["seen"]


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_an_engine_that_hangs() -> None:
    on_guest("sudo pkill -STOP -x dockerd")
    report = doctor()
    assert report.code == 1
    assert "engine-silent" in report.of_the_host(), report
    assert "gave no answer" in report.findings["engine-silent"]["seen"]


@pytest.mark.long
def test_a_host_without_hearth() -> None:
    restore("fresh")
    report = doctor()
    assert report.code == 1
    assert report.of_the_host() == {"not-deployed"}


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_a_host_that_denies_sudo() -> None:
    """The findings from outside remain valid."""
    on_guest("sudo mv /etc/sudoers.d/pi /etc/sudoers.d/pi.off")
    report = doctor()
    assert (report.code, set(report.findings)) == (0, {"host-not-looked-at"})
    restore("deployed")
