"""Running but unhealthy containers on a real engine: what the fact reads, and what a deploy does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hearth.doctor.checks.host_state import judge
from hearth.models.facts import Models
from hearth.stack.container_facts import Project
from hearth.stack.container_operations import converge_script
from hearth.stack.containers import Drift, find_drift
from hearth.stack.health_facts import Symptoms
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.support.proxy_rules.behaviour import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the containers of the shipped settings and frequent health checks."""
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools"), stages)
    with Engine(parts, tmp_path_factory.mktemp("engine")) as one:
        settings = lab_settings(parts)
        one.write(settings)
        compose = one.project / "compose.yaml"
        often = compose.read_text()
        for name, value in {"interval": 1, "timeout": 2, "start_period": 20}.items():
            often, count = re.subn(rf"(?m)^( +{name}:) \d+s$", rf"\1 {value}s", often)
            assert count == 2
        compose.write_text(often)
        one.bring_up(settings)
        yield one


def drift(engine: Engine) -> list[Drift]:
    done = engine.run(Project().command())
    assert done.code == 0, done.output
    state = Project().process(done.output.splitlines())
    assert set(state.hashes) == {"ollama", "httpd"}, done.output
    return find_drift(state.hashes, list(state.containers), {})


def repair(engine: Engine) -> None:
    done = engine.run(converge_script(drift(engine), 60, "docker compose logs", 30))
    assert done.code == 0, done.output
    assert drift(engine) == []


def symptoms(engine: Engine) -> dict[str, Any]:
    done = engine.run(Symptoms().command())
    assert done.code == 0, done.output
    return Symptoms().process(done.output.splitlines())


def test_models_are_listed_by_ollamas_api(engine: Engine) -> None:
    """Without `docker exec`, which is for an Ollama that does not respond."""
    done = engine.run(Models().command())
    assert (done.code, "@@models" in done.output) == (0, False), done.output
    assert Models().process(done.output.splitlines()).present == frozenset()


def test_doctor_parses_a_real_engines_output(engine: Engine) -> None:
    found = symptoms(engine)
    assert (found["work"], found["kills"], found["way"]) == (None, 0, "")
    for state in found["containers"].values():
        assert (state["status"], state["trouble"], state["restarts"]) == ("running", "", 0)
        assert 0 <= state["up_seconds"] < 600
    assert len(found["containers"]) == 2
    # The kernel must kill the process that uses the memory, not Ollama, which Docker would restart.
    greedy = (
        "docker update --memory 100m --memory-swap 100m hearth-ollama && docker exec hearth-ollama bash -c "
        "'echo 1000 >/proc/self/oom_score_adj && head -c 300000000 /dev/zero | tail >/dev/null'"
    )
    assert engine.execute(greedy).code != 0
    assert engine.execute("docker network disconnect hearth-back hearth-ollama").code == 0
    found = symptoms(engine)
    causes = [finding.cause.id for finding in judge("pi", found, {})]
    assert found["kills"] == 1
    assert found["way"]
    assert {"container-out-of-memory", "ollama-unreachable", "container-wrong"} <= set(causes), (causes, found)
    repair(engine)


def test_hanging_ollama_is_reported_with_the_reason_and_replaced(engine: Engine) -> None:
    assert drift(engine) == [], "as deployed"
    httpd = engine.execute("docker inspect -f '{{.Id}}' hearth-httpd").output
    engine.execute("kill -STOP $(docker inspect -f '{{.State.Pid}}' hearth-ollama)")
    wait_until(lambda: any("unhealthy" in one.what for one in drift(engine)), 40)
    (found,) = drift(engine)
    assert found.name == "hearth-ollama"
    assert found.what.startswith('is unhealthy ("Health check exceeded timeout (2s)'), found.what
    # A frozen process ignores `docker stop` for ten seconds.
    repair(engine)
    assert engine.execute("docker inspect -f '{{.Id}}' hearth-httpd").output == httpd


def test_lost_network_alias_is_restored(engine: Engine) -> None:
    for command in ("disconnect", "connect"):
        assert engine.execute(f"docker network {command} hearth-back hearth-ollama").code == 0
    (found,) = drift(engine)
    assert (found.name, found.what) == ("hearth-ollama", "has no alias ollama on its network")
    connect = "docker exec hearth-httpd bash -c 'exec 3<>/dev/tcp/ollama/11434'"
    assert engine.execute(connect).code != 0, "httpd does not find it either"
    repair(engine)
    assert engine.execute(connect).code == 0
