"""What the doctor finds at a gateway, with the real faults of its backends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lab.errors import LabError
from tests.house.conftest import GATEWAY, Deployed, Roles
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.shipped import PROJECT

pytestmark = pytest.mark.long
POOLS = {"default": [{"host": "h2"}, {"host": "h3"}]}
ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": POOLS},
    "h2": {"host_role": "backend"},
    "h3": {"host_role": "backend"},
}
OF_POOLS = {"pool-empty", "backend-down", "backend-lacks-model", "backend-refuses-origin"}


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    """A gateway and two backends."""
    return deploy_house(ROLES)


def findings(deployed: Deployed) -> dict[str, str]:
    """The doctor's findings about pools: cause → what was observed."""
    words = [deployed.url, "--inventory", str(deployed.inventory), "--host", GATEWAY, "--json", "--no-prompt"]
    done = subprocess.run(
        [sys.executable, "-m", "hearth.doctor", *words],
        cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout)
    return {one["id"]: one["seen"] for one in report["findings"] if one["id"] in OF_POOLS}


def test_nothing_is_wrong(deployed: Deployed) -> None:
    assert findings(deployed) == {}


def test_backend_that_lacks_a_model(deployed: Deployed) -> None:
    deployed.house.ssh("h3", "sudo docker exec hearth-ollama ollama rm tinystory")
    assert findings(deployed) == {
        "backend-lacks-model": 'h3 lacks tinystory:latest, which others in the pool "default" have'
    }
    assert deployed.deploy()[0] == 0
    assert findings(deployed) == {}


def test_ollama_that_knows_only_its_own_host_name(deployed: Deployed) -> None:
    """As if somebody had put an Ollama that listens on 127.0.0.1 behind a forwarded port."""
    house, port = deployed.house, 11434
    container = house.ssh("h3", "sudo docker inspect -f '{{.State.Pid}}' hearth-ollama")
    inside = f"sudo nsenter --net --target {container}"
    alone = "sudo docker exec -d -e OLLAMA_HOST=127.0.0.1:11435 hearth-ollama ollama serve"
    house.ssh("h3", alone)
    forwarded = f"""{inside} sysctl -qw net.ipv4.conf.all.route_localnet=1
    {inside} nft -f - <<'RULES'
table ip forwarded {{
  chain prerouting {{ type nat hook prerouting priority dstnat; tcp dport {port} dnat to 127.0.0.1:11435; }}
}}
RULES"""
    house.ssh("h3", forwarded)
    try:
        wait_until(lambda: findings(deployed) == {"backend-refuses-origin": "h3 responded with status 403"}, 30)
    finally:
        house.ssh("h3", f"{inside} nft delete table ip forwarded; sudo docker restart hearth-ollama")


def test_machines_that_are_off(deployed: Deployed) -> None:
    house = deployed.house
    house.off("h2")
    assert findings(deployed) == {"backend-down": "h2 responded with status 503"}
    house.cut("h3")
    assert findings(deployed) == {
        "pool-empty": 'in the pool "default", h2 responded with status 503; h3 responded with status 503'
    }
    house.join("h3")
    house.on("h2")

    def is_well() -> bool:
        try:
            return findings(deployed) == {}
        except LabError:
            return False

    wait_until(is_well, 60)
