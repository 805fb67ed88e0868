"""The MTU of Hearth's networks, with a real engine: containers get it, also where the networks exist already."""

from __future__ import annotations

import os

import pytest

from hearth.settings.model import Settings
from hearth.stack.container_operations import converge_script
from hearth.stack.containers import Drift
from tests.proxy.engine import Engine

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
BOTH = [Drift(f"hearth-{name}", "was created from a different configuration", "up") for name in ("ollama", "httpd")]


def mtus(engine: Engine, container: str) -> list[str]:
    """Of the container's interfaces, except loopback."""
    done = engine.execute(f"docker exec {container} sh -c 'cat /sys/class/net/eth*/mtu'")
    assert done.code == 0, done.output
    return sorted(done.output.split())


def ids(engine: Engine) -> str:
    return engine.execute("docker ps -q --no-trunc; docker network ls -q --no-trunc").output


def converge(engine: Engine, settings: Settings) -> str:
    engine.write(settings)
    done = engine.run(converge_script(BOTH, 60, "exit 1", 0, mtu=settings.docker_mtu))
    assert done.code == 0, done.output
    return done.output


def test_mtu_reaches_existing_networks_and_returns(engine: Engine, engine_settings: Settings) -> None:
    assert mtus(engine, "hearth-ollama") == mtus(engine, "hearth-httpd") == ["1500", "1500"]
    small = engine_settings.model_copy(update={"docker_mtu": 1400})
    assert "The networks' MTU changes" in converge(engine, small)
    # The second interface is that of the internal network, which has no way out.
    assert mtus(engine, "hearth-ollama") == mtus(engine, "hearth-httpd") == ["1400", "1500"]
    before = ids(engine)
    assert "MTU" not in converge(engine, small)
    assert ids(engine) == before
    assert "The networks' MTU changes" in converge(engine, engine_settings)
    assert mtus(engine, "hearth-ollama") == ["1500", "1500"]


def test_interrupted_change_is_completed(engine: Engine, engine_settings: Settings) -> None:
    """The run ended after the containers and networks were removed."""
    engine.write(engine_settings.model_copy(update={"docker_mtu": 1300}))
    assert engine.execute("cd /opt/hearth && docker compose down").code == 0
    converge(engine, engine_settings.model_copy(update={"docker_mtu": 1300}))
    assert mtus(engine, "hearth-ollama") == ["1300", "1500"]
