"""How long httpd's port is closed during an upgrade, with a real engine and without emulation."""

from __future__ import annotations

import os
import time

import pytest

from hearth.settings.model import Settings
from hearth.stack.container_operations import converge_script
from hearth.stack.containers import Drift
from tests.lab.clients import ConnectionLoop
from tests.proxy.engine import ADDRESS, Engine

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
PORT = 85
UPGRADES = 3


def test_upgrade_of_httpd_interrupts_for_less_than_a_second(engine: Engine, engine_settings: Settings) -> None:
    current = engine_settings.proxy_image
    gaps = []
    for number in range(UPGRADES):
        image = f"httpd:next{number}"
        made = engine.execute(
            f"c=$(docker create {current}) && docker commit -c 'LABEL number={number}' $c {image} && docker rm $c"
        )
        assert made.code == 0, made.output
        engine.write(engine_settings.model_copy(update={"proxy_image": image}))
        with ConnectionLoop(0.02, 5, f"http://{ADDRESS}:{PORT}", engine.enter_network) as loop:
            time.sleep(0.5)
            done = engine.run(converge_script([Drift("hearth-httpd", "is another one", "up")], 60, "exit 1", 0))
            time.sleep(1)
        assert done.code == 0, done.output
        assert engine.execute("docker inspect -f '{{.Config.Image}}' hearth-httpd").output.strip() == image
        [gap], late = loop.gaps(0.2), loop.slow(0.2)
        gaps.append(gap)
        print(
            f"\n{len(loop.attempts)} new connections, {len(loop.failed)} failed, "
            f"in {gap:.2f} s; {len(late)} waited, {max(late, default=0):.2f} s at most"
        )
        assert max(late, default=0) < 4, "these wait for the kernel, not for the deploy"
    # The shortest: other tests on the same cores delay the engine in some of them.
    assert min(gaps) < 1, gaps
