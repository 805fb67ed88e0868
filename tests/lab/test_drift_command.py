"""`python -m hearth.drift` and `--dry` on a real host: exit code, output, and that nothing is changed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

import lab
from hearth.paths import ROOT as HOST_ROOT
from hearth.runtime.text import join_words
from tests.lab.machine import INVENTORY, PYINFRA, ROOT, deploy, listed_on_guest, on_guest, restore

pytestmark = pytest.mark.scenario

# Files and containers, which must be the same before and after the command.
STATE = (
    f"sudo find {HOST_ROOT} -type f -exec sha256sum {{}} + && "
    "sudo docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'"
)


def drift(*arguments: str) -> subprocess.CompletedProcess[str]:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "hearth.drift", INVENTORY, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    print(f"\ndrift took {time.monotonic() - begun:.1f} s, exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def dry(*settings: str) -> str:
    """Standard error of `--dry` with other settings; its standard output must be JSON and nothing else."""
    words = [word for setting in settings for word in ("--data", setting)]
    done = subprocess.run(
        [PYINFRA, "--dry", "--json", *words, INVENTORY, "deploy.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] is None
    print(f"\n{done.stderr}")
    return done.stderr


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_drift_reports_a_host_in_sync() -> None:
    done = drift()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{lab.status().ssh_host}: in sync\n"
    assert drift("--quiet").stdout == ""


@pytest.mark.usefixtures("deployed")
def test_drift_is_reported_and_not_repaired() -> None:
    on_guest(
        "sudo docker stop -t 1 hearth-ollama && "
        f"sudo sed -i 's/^KeepAliveTimeout .*/KeepAliveTimeout 1/' {HOST_ROOT}/httpd/httpd.conf"
    )
    before = listed_on_guest(STATE)
    done = drift("--json")
    assert done.returncode == 1
    ((_, verdict),) = json.loads(done.stdout).items()
    found: dict[str, Any] = verdict
    assert found["state"] == "differs"
    assert found["reasons"] == [
        "httpd/httpd.conf was changed on the host; restoring it; httpd reloads gracefully, nothing is cut",
        "hearth-ollama has exited; starting it",
        f"Ollama does not respond, so it is unknown whether it has {join_words(lab.status().models)}",
    ]
    assert listed_on_guest(STATE) == before


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_dry_run_reports_settings_files_and_interruptions() -> None:
    before = listed_on_guest(STATE)
    output = dry("proxy_timeout=1000", 'ollama_keep_alive="10m"', 'docker_log_max_size="20m"')
    assert "proxy_timeout 900 → 1000: httpd/httpd.conf; httpd reloads gracefully, nothing is cut" in output
    assert (
        "ollama_keep_alive 5m → 10m: compose.yaml; the container hearth-ollama is recreated, in-flight responses are "
        "cut" in output
    )
    assert "/etc/docker/daemon.json: log-opts.max-size 10m → 20m (docker_log_max_size); the engine restarts, " in output
    assert listed_on_guest(STATE) == before


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_deploy_reports_each_change_once() -> None:
    sentence = "proxy_timeout 900 → 1000: httpd/httpd.conf; httpd reloads gracefully, nothing is cut"
    run = deploy("proxy_timeout=1000")
    assert run.code == 0, run.output
    assert run.output.count(sentence) == 1, run.output
    done = drift("--data", "proxy_timeout=1000")
    assert done.returncode == 0


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_unreachable_host_has_state_unknown() -> None:
    on_guest("sudo systemctl stop ssh.socket ssh.service", check=False)
    try:
        done = drift("--json")
        assert done.returncode == 2
        ((_, verdict),) = json.loads(done.stdout).items()
        assert verdict["state"] == "unknown"
        assert verdict["reasons"][0].startswith(("Could not connect", "SSH error", "EOF error")), verdict
    finally:
        restore("deployed")


@pytest.mark.long
def test_report_for_a_fresh_host_is_short() -> None:
    restore("fresh")
    try:
        done = drift("--json")
        assert done.returncode == 1
        ((_, verdict),) = json.loads(done.stdout).items()
        reasons = " / ".join(verdict["reasons"])
        assert len(verdict["reasons"]) <= 7, verdict
        for part in (
            "daemon.json gets",
            "installing",
            "pulling",
            "writing them to /opt/hearth",
            "creating and starting",
        ):
            assert part in reasons, (part, verdict)
    finally:
        restore("deployed")
