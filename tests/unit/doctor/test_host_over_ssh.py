"""The doctor's findings about a host from inside, and how it gets the facts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hearth.doctor.checks.host_over_ssh import HostInspectionError, choose_host, inspect_host
from hearth.doctor.checks.host_state import judge
from hearth.doctor.target import Target

RUNNING = {"status": "running", "oom": False, "exit_code": 0, "restarts": 0, "trouble": "", "up_seconds": 5000}
STUCK_MESSAGE = "stuck: 2 request(s) waiting, and no model has worked or been read for 90 s; ollama_heal_stuck is off"
IDLE = {"questions": 1, "models": 1, "seconds": 30, "cpu_seconds": 0.0, "read_bytes": 0}
HEALTHY: dict[str, Any] = {
    "access": True,
    "engine": "",
    "deployed": True,
    "drift": [],
    "containers": {
        "hearth-ollama": {**RUNNING, "restarts": 1},
        "hearth-httpd": RUNNING,
    },
    "work": None,
    "kills": 0,
    "way": "",
    "origins": "http://a.example,http://b.example",
    "memory_limits": True,
    "memory": {"MemTotal": 4_000_000, "MemAvailable": 2_000_000, "SwapTotal": 200_000, "SwapFree": 200_000},
    "free_bytes": 20_000_000_000,
    "listeners": [["0.0.0.0", 85, "docker-proxy"], ["127.0.0.1", 11434, "docker-proxy"]],
    "errors": [],
}
DATA = {"allowed_origins": ["http://a.example", "http://b.example"]}
TARGET = Target("http", "192.168.1.189", 85)


def test_a_model_that_only_some_backends_have_may_be_in_another_pool() -> None:
    pools = {"default": ["pc", "pi"], "big": ["pc"]}
    backends = {"pc": [200, ["a:latest", "big:latest"]], "pi": [200, ["a:latest"]]}
    assert judge("pi", HEALTHY | {"pools": pools, "backends": backends}, DATA) == []


def test_a_healthy_host() -> None:
    assert judge("pi", HEALTHY, DATA) == []


@pytest.mark.parametrize(
    ("changed", "cause", "words"),
    [
        ({"engine": "the Docker engine does not respond: timeout"}, "engine-silent", "timeout"),
        ({"deployed": False, "origins": None}, "not-deployed", "pi"),
        ({"drift": ["hearth-ollama has exited"]}, "container-wrong", "exited"),
        (
            {"containers": {"hearth-ollama": RUNNING | {"status": "exited", "oom": True, "up_seconds": None}}},
            "container-out-of-memory",
            "killed hearth-ollama itself:",
        ),
        (
            {"containers": {"hearth-ollama": RUNNING | {"oom": True}}, "kills": 3},
            "container-out-of-memory",
            "killed 3 processes in hearth-ollama:",
        ),
        (
            {"containers": {"hearth-ollama": RUNNING | {"restarts": 3, "up_seconds": 12}}},
            "container-keeps-ending",
            "hearth-ollama exited 3 times, most recently 12 s ago, and",
        ),
        (
            {"providers": {"openai": (502, '{"error": {"message": "the provider refused the key of this host"}}')}},
            "provider-refuses-key",
            "`openai`",
        ),
        ({"providers": {"openai": (0, "")}}, "provider-unreachable", "no answer within 15 s"),
        ({"way": "ollama: Name or service not known"}, "ollama-unreachable", "Name or service not known. Deploy"),
        (
            {
                "containers": {"hearth-ollama": RUNNING | {"trouble": STUCK_MESSAGE}},
                "drift": [f'hearth-ollama is unhealthy ("{STUCK_MESSAGE}")'],
            },
            "model-server-stuck",
            f'the health check of hearth-ollama reports "{STUCK_MESSAGE}". A slow model',
        ),
        ({"work": IDLE}, "model-server-stuck", "1 prompt(s) waiting, and in 30 s the model's process used 0.0 s"),
        ({"models_free_bytes": 90_000_000}, "disk-full", "The models' disk has 90 MB left"),
        ({"memory_limits": False}, "memory-limits-off", "cgroup"),
        ({"memory": {"MemTotal": 1_000_000, "MemAvailable": 20_000}}, "host-memory-low", "20 MiB of 977 MiB"),
        (
            {"memory": {"MemTotal": 1_000_000, "MemAvailable": 500_000, "SwapTotal": 500_000, "SwapFree": 300_000}},
            "host-memory-low",
            "195 MiB are swapped out",
        ),
        ({"free_bytes": 400_000_000}, "disk-full", "400 MB"),
        ({"origins": "http://a.example"}, "origins-not-in-force", "http://a.example,http://b.example"),
        ({"origins": ""}, "origins-not-in-force", "(none)"),
        ({"listeners": [["127.0.0.1", 11434, "ollama"]]}, "native-ollama", "127.0.0.1:11434"),
        ({"gpu_loss": "Ollama found no usable GPU"}, "gpu-not-used", "Ollama found no usable GPU"),
        ({"errors": ["hearth-ollama: level=ERROR msg=x"]}, "errors-in-logs", "msg=x"),
        (
            {"pools": {"default": ["pc", "pi"]}, "backends": {"pc": [503, []], "pi": [200, ["a:latest"]]}},
            "backend-down",
            "pc responded with status 503",
        ),
        (
            {"pools": {"default": ["pc"], "big": ["pi"]}, "backends": {"pc": [0, []], "pi": [200, ["a:latest"]]}},
            "pool-empty",
            'in the pool "default", pc did not respond',
        ),
        (
            {
                "pools": {"default": ["pc", "pi"]},
                "backends": {"pc": [200, ["a:latest", "b:latest"]], "pi": [200, ["a:latest"]]},
            },
            "backend-lacks-model",
            "pi lacks b:latest",
        ),
        (
            {"pools": {"default": ["pc", "pi"]}, "backends": {"pc": [403, []], "pi": [200, ["a:latest"]]}},
            "backend-refuses-origin",
            "pc responded with status 403",
        ),
        ({"access": False}, "host-not-looked-at", "sudo is missing or requires a password"),
    ],
)
def test_problems_of_a_host(changed: dict[str, Any], cause: str, words: str) -> None:
    (finding,) = judge("pi", HEALTHY | changed, DATA)
    assert finding.cause.id == cause
    assert words in f"{finding.why} {finding.cure}"


@pytest.mark.parametrize(
    "changed",
    [
        {"work": IDLE | {"cpu_seconds": 0.3}},
        {"work": IDLE | {"read_bytes": 2_000_000}},
        {"work": IDLE | {"seconds": 4}},
        {"work": IDLE | {"models": 0}},
        {"containers": {"hearth-ollama": RUNNING | {"restarts": 2, "up_seconds": 12}}},
        {"containers": {"hearth-ollama": RUNNING | {"restarts": 30, "up_seconds": 700}}},
    ],
)
def test_slow_or_past_states_are_not_problems(changed: dict[str, Any]) -> None:
    assert judge("pi", HEALTHY | changed, DATA) == []


def test_unknown_states_are_not_problems() -> None:
    assert judge("pi", HEALTHY | {"origins": None, "memory_limits": None, "memory": {}, "way": None}, DATA) == []


def host(name: str, **data: str) -> dict[str, Any]:
    return {"name": name, "data": data}


def test_the_host_is_chosen() -> None:
    pis = [host("192.168.1.189"), host("kitchen", ssh_hostname="192.168.1.7")]
    assert choose_host(pis, "", TARGET) is pis[0]
    assert choose_host(pis, "", Target("http", "192.168.1.7", 85)) is pis[1]
    assert choose_host(pis, "kitchen", TARGET) is pis[1]
    assert choose_host(pis[1:], "", TARGET) is pis[1]
    with pytest.raises(HostInspectionError, match=r"--host: 192\.168\.1\.189, kitchen"):
        choose_host(pis, "", Target("http", "pi.local", 85))
    with pytest.raises(HostInspectionError, match="--host"):
        choose_host(pis, "bathroom", TARGET)
    with pytest.raises(HostInspectionError, match="no hosts"):
        choose_host([], "", TARGET)


def test_a_missing_inventory_is_a_note_with_pyinfras_reason(tmp_path: Path) -> None:
    step = inspect_host(str(tmp_path / "no.py"), "", TARGET, 60)
    assert [finding.cause.id for finding in step.findings] == ["host-not-looked-at"]
    assert step.state == "warning"
    assert "Traceback" not in step.observed


def test_an_unreachable_host_is_a_note(tmp_path: Path) -> None:
    inventory = tmp_path / "pi.py"
    inventory.write_text('pi = [("127.0.0.1", {"ssh_port": 9, "ssh_user": "pi", "ssh_connect_retries": 0})]\n')
    step = inspect_host(str(inventory), "", TARGET, 60)
    assert [finding.cause.id for finding in step.findings] == ["host-not-looked-at"], step
    assert "Traceback" not in step.observed


def test_without_pyinfra_it_is_a_note(project: Path) -> None:
    if (project / ".venv").exists():
        pytest.skip("this checkout has its own environment, which the doctor finds")
    code = (
        "import json; from hearth.doctor.checks.host_over_ssh import inspect_host; "
        "from hearth.doctor.target import Target; "
        "print(json.dumps(inspect_host('inventory/pi.py', '', Target('http', 'pi', 85), 9).observed))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert "make setup" in json.loads(done.stdout)
