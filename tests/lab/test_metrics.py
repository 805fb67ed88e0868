"""Metrics and usage on a host: installed, scraped through the gateway, repaired, kept over a reboot, and removed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import lab
from hearth.paths import METRICS_PROGRAM, METRICS_RUN, METRICS_SCRIPT, METRICS_SERVICE, METRICS_UNIT
from lab import artefacts
from lab.progress import Stages
from tests.acceptance.api import call
from tests.lab.clients import prompt
from tests.lab.machine import INVENTORY, ROOT, deploy, deployed_with, on_guest, pyinfra, reboot, url, wait_until
from tests.support.prometheus import Prometheus
from tests.support.shipped import PROJECT

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

COLLECT, REMOVE = "Metrics | Collect the metrics", "Metrics | Remove the metrics"
ON = 'metrics_access="anyone"'
TRACES = f"ls -d {METRICS_UNIT} {METRICS_SCRIPT} {METRICS_PROGRAM} {METRICS_RUN} /opt/hearth/metrics 2>/dev/null; true"
LISTENERS = "sudo ss -Hltn | awk '{print $4}' | sort"


def page() -> str:
    answer = call(url(), "GET", "/metrics")
    assert answer.status == 200, answer
    return answer.body.decode()


@pytest.mark.long
def test_metrics_are_collected_scraped_and_repaired(tmp_path: Path) -> None:
    assert call(url(), "GET", "/metrics").status == 404
    assert on_guest(TRACES) == ""
    listeners = on_guest(LISTENERS)

    first = deployed_with(ON)
    print(f"\nfirst deploy with metrics: {first.seconds:.1f} s, {first.changed}")
    assert COLLECT in first.changed, first.output
    wait_until(lambda: 'hearth_container_healthy{container="ollama"} 1' in page(), 60, "the figures are there")
    assert "hearth_release_info{" in page()
    assert on_guest(LISTENERS) == listeners, "no new port"
    assert on_guest("systemctl is-enabled mtail.service; systemctl is-active mtail.service", check=False) == (
        "disabled\ninactive"
    )
    assert deploy(ON).changed == ()

    # A real Prometheus, through the gateway.
    with Stages() as stages:
        programs = artefacts.build(("prometheus",), stages)["prometheus"]
    target = urlsplit(url()).netloc
    job = {"job_name": "hearth", "scrape_interval": "5s", "static_configs": [{"targets": [target]}]}
    with Prometheus(programs, tmp_path, job, PROJECT / "docs/grafana/alerts.yaml", 9097) as prometheus:
        wait_until(lambda: prometheus.value('up{job="hearth"}') == 1, 60, "Prometheus scrapes")
        assert prompt(5).complete
        answered = 'sum(hearth_requests_total{route="/api/ollama",status="200"})'
        wait_until(lambda: prometheus.value(answered) >= 1, 60, "the prompt is counted")
        wait_until(lambda: prometheus.value("count(hearth_model_memory_bytes)") == 1, 120, "its model is in memory")

    # Drift, which the drift command explains.
    on_guest(f"sudo systemctl stop {METRICS_SERVICE} && echo '# changed' | sudo tee -a {METRICS_SCRIPT}")
    wait_until(lambda: call(url(), "GET", "/metrics").status == 404, 10, "old figures are gone")
    dry = pyinfra_dry(ON)
    assert f"{METRICS_SCRIPT} differs; writing it and restarting the metrics' service" in dry
    assert deploy(ON).changed == (COLLECT,)
    wait_until(lambda: "hearth_collect_time_seconds" in page(), 60, "the figures are back")


@pytest.mark.long
def test_metrics_survive_a_reboot_and_are_removed() -> None:
    deployed_with(ON)
    reboot()
    wait_until(lambda: 'hearth_container_healthy{container="httpd"} 1' in page(), 180, "they are back after a reboot")

    off = deployed_with()
    assert REMOVE in off.changed, off.output
    assert on_guest(TRACES) == ""
    assert call(url(), "GET", "/metrics").status == 404
    assert deploy().changed == ()


def pyinfra_dry(*data: str) -> str:
    words = [word for one in data for word in ("--data", one)]
    done = subprocess.run(
        [sys.executable, "-m", "hearth.drift", INVENTORY, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    return done.stdout


@pytest.mark.long
def test_uninstall_removes_the_metrics() -> None:
    deployed_with(ON)
    run = pyinfra("deploys/uninstall.py")
    assert run.code == 0, run.output
    assert "will remove: the metrics' service (mtail, jq, curl and openssl stay)" in run.output
    assert on_guest(TRACES) == ""
    assert on_guest("ls /opt/hearth 2>/dev/null; true") == ""


@pytest.mark.long
def test_usage_of_the_host() -> None:
    call(url(), "GET", "/api/tags")
    words = [sys.executable, "-m", "hearth.usage", INVENTORY, "--json", "--days", "2"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done
    found = json.loads(done.stdout)[lab.status().ssh_host]
    assert found["error"] == ""
    assert sum(one["requests"] for one in found["usage"]) >= 1
    assert all(one["kind"] == "address" and one["received"] > 0 for one in found["usage"]), found
