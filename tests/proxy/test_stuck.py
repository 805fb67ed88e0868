"""An Ollama that no longer responds (ollama#17131) is detected by its health check, which restarts it once.

The real Ollama, httpd and Docker engine, with the rendered compose.yaml. `make test` has a sample with shorter
timeouts than shipped; `make test SUITE=proxy-long` has the rest, and half an hour of slow but not stuck responses.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hearth.stack.container_operations import converge_script
from hearth.stack.containers import find_drift
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.proxy.stuck_host import OLLAMA, StuckHost

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
QUICK = 12  # s until Ollama counts as stuck, in the sample
SHIPPED = 90
MINUTES = 30


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    with Stages() as stages:
        return artefacts.build(("engine", "images", "tools", "models"), stages)


@contextmanager
def deployed(
    parts: artefacts.Paths, factory: pytest.TempPathFactory, patience: int | None, heals: bool = True
) -> Iterator[StuckHost]:
    with Engine(parts, factory.mktemp("engine")) as engine:
        host = StuckHost(engine, parts["models"], patience)
        host.deploy(lab_settings(parts, ollama_heal_stuck=heals))
        try:
            yield host
        finally:
            # Ends the responses that clients wait for.
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()


def check_healed(host: StuckHost, patience: int, restarts: int = 1) -> None:
    """A waiting prompt triggers the restart; then others are answered again."""
    begun = time.monotonic()
    waiting = host.ask()
    detected = host.wait_until(lambda: host.restarts() == restarts, 2 * patience + 30)
    host.answered_after(60)
    served = time.monotonic() - begun
    print(f"\na prompt waits; Ollama ends after {detected:.1f} s, another one is answered after {served:.1f} s")
    assert waiting.result(10) == 502, "the waiting client gets an error"
    reports = re.findall(r"hearth: stuck: \d+ request\(s\) waiting, .* for (\d+) s; restarted", host.log())
    assert len(reports) == restarts
    assert patience <= int(reports[-1]) <= 2 * patience
    host.wait_until(lambda: host.container().health == "healthy", 30)


def check_given_up(host: StuckHost, patience: int) -> None:
    """Stuck again soon: no second restart, but unhealthy, and repaired by a deploy."""
    restarts = host.restarts()
    host.get_stuck()
    host.ask()
    host.wait_until(lambda: host.container().health == "unhealthy", 2 * patience + 30)
    time.sleep(patience)
    assert host.restarts() == restarts
    assert "not restarted again" in host.log()
    check_repaired(host)


def check_repaired(host: StuckHost) -> None:
    """Run a deploy's repair of an unhealthy container."""
    container = host.container()
    [drift] = find_drift({"ollama": container.config_hash}, [container], {})
    assert (drift.name, drift.remedy) == (OLLAMA, "recreate")
    assert drift.what.startswith("is unhealthy"), drift.what
    host.run(converge_script([drift], 60, "docker compose logs", 0))
    host.answered_after(30)


@pytest.fixture(scope="module")
def quick(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StuckHost]:
    with deployed(parts, tmp_path_factory, QUICK) as host:
        host.answered_after(30)
        yield host


def test_slow_response_is_not_interrupted(quick: StuckHost) -> None:
    """Nor is the prompt that waits behind it."""
    quick.execute(f"docker update --cpus 0.05 {OLLAMA}")
    answers = [quick.ask(words=500), quick.ask(words=500)]
    time.sleep(1.7 * QUICK)
    assert not quick.alarms()
    assert not any(answer.done() for answer in answers), "it was not slow"
    quick.execute(f"docker update --cpus 2 {OLLAMA}")
    assert [answer.result(60) for answer in answers] == [200, 200]
    assert quick.restarts() == 0


def test_idle_connection_is_not_a_waiting_prompt(quick: StuckHost) -> None:
    """httpd keeps its connections, and the model stays loaded."""
    quick.answered_after(30)
    time.sleep(1.5 * QUICK)
    established = "^ *[0-9]+: [0-9A-F]+:2CAA [0-9A-F:]+ 01 "
    assert quick.execute(f"docker exec {OLLAMA} grep -E '{established}' /proc/1/net/tcp /proc/1/net/tcp6")
    assert not quick.alarms()
    assert quick.restarts() == 0


def test_stuck_server_is_restarted_once(quick: StuckHost) -> None:
    print(f"\nstuck after {quick.get_stuck():.1f} s")
    check_healed(quick, QUICK)


GATEWAY, CLIENT = "198.51.100.10", "198.51.100.11"


@pytest.fixture(scope="module")
def backend(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StuckHost]:
    """A backend, with addresses of a gateway and of another client at hand."""
    with Engine(parts, tmp_path_factory.mktemp("backend")) as engine:
        for address in (GATEWAY, CLIENT):
            assert engine.execute(f"ip address add {address}/32 dev lo").code == 0
        host = StuckHost(engine, parts["models"], QUICK)
        allowed = [GATEWAY, f"{CLIENT}/32"]
        host.deploy(lab_settings(parts, host_role="backend", ollama_allowed_networks=allowed))
        try:
            yield host
        finally:
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()


@pytest.mark.long
def test_a_stuck_backend_is_restarted_if_a_gateways_prompt_waits(backend: StuckHost) -> None:
    """It has no httpd, and other clients keep idle connections."""
    address = backend.address()
    assert backend.ask(address=address, source=GATEWAY).result(60) == 200
    with backend.idle_connection(address, CLIENT):
        time.sleep(1.7 * QUICK)
        assert not backend.alarms()
        assert backend.restarts() == 0
    backend.get_stuck()
    waiting = backend.ask(address=address, source=GATEWAY)
    detected = backend.wait_until(lambda: backend.restarts() == 1, 2 * QUICK + 30)
    print(f"\na gateway's prompt waits; Ollama ends after {detected:.1f} s")
    assert waiting.result(10) == 0
    backend.wait_until(lambda: backend.ask(timeout=20, address=backend.address(), source=GATEWAY).result() == 200, 60)


@pytest.mark.long
@pytest.mark.parametrize("through_httpd", [False, True], ids=["straight", "through httpd"])
def test_stopped_responses_cause_the_fault(
    parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory, through_httpd: bool
) -> None:
    """Like users do it, with the shipped check; then again immediately."""
    with deployed(parts, tmp_path_factory, None) as host:
        stops = host.stop_answers("" if through_httpd else host.address())
        print(f"\nstuck after {stops} stops")
        check_healed(host, SHIPPED)
        check_given_up(host, SHIPPED)


@pytest.mark.long
def test_stuck_server_without_self_healing_is_reported_and_repaired(
    parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with deployed(parts, tmp_path_factory, None, heals=False) as host:
        host.get_stuck()
        host.ask()
        detected = host.wait_until(lambda: host.container().health == "unhealthy", 2 * SHIPPED)
        print(f"\nunhealthy after {detected:.1f} s")
        assert host.restarts() == 0
        assert any("ollama_heal_stuck is off" in output for output in host.alarms())
        check_repaired(host)


@pytest.mark.long
def test_slow_server_is_not_mistaken_for_a_stuck_one(
    parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Slow loads, long prompts, slow responses and a full queue, with the shipped timeout."""
    with deployed(parts, tmp_path_factory, None) as host:
        host.answered_after(30)
        until, rounds = time.monotonic() + 60 * MINUTES, 0
        while time.monotonic() < until:
            rounds += 1
            host.execute(f"docker exec {OLLAMA} ollama stop tinystory")
            host.execute(f"docker update --cpus 0.02 {OLLAMA}")
            slow = [
                host.ask(words=30),  # loads first
                host.ask(words=3, prompt="once upon " * 1500),
                host.ask(words=3, address=host.address()),
            ]
            full = [host.ask(words=3) for _ in range(6)]
            for _ in range(20):
                time.sleep(9)
                assert not host.alarms()
                assert host.restarts() == 0
            host.execute(f"docker update --cpus 2 {OLLAMA}")
            assert [one.result(300) for one in slow] == [200] * len(slow)
            assert {one.result(300) for one in full} <= {200, 503}
        print(f"\n{rounds} rounds in {MINUTES} minutes")
