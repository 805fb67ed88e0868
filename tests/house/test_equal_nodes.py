"""Three equal nodes, each a gateway to all three: what clients see who try the next node when one refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.house.clients import clients, long_responses, served
from tests.house.conftest import NOTICED, Deployed, Roles
from tests.lab.clients import PromptLoop, prompt
from tests.support.proxy_rules.behaviour import wait_until

NODES = ("h1", "h2", "h3")
ROLES: Roles = {
    name: {"ollama_publish": "0.0.0.0:11434", "ollama_pools": {"default": [{"host": node} for node in NODES]}}
    for name in NODES
}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    return deploy_house(ROLES)


@pytest.fixture(autouse=True)
def _as_deployed(deployed: Deployed) -> Iterator[None]:
    yield
    deployed.write({})


def test_the_second_run_changes_nothing(deployed: Deployed) -> None:
    deployed.check_that_nothing_differs()


@pytest.mark.parametrize("service", ["ollama", "httpd"])
def test_an_upgrade_cuts_and_refuses_nothing(deployed: Deployed, service: str) -> None:
    new, setting = f"{service}:upgrade", {"ollama": "ollama_image", "httpd": "proxy_image"}[service]
    deployed.make_image(new, "LABEL number=1", service)
    deployed.write({setting: new, "docker_drain_timeout": 300})
    with long_responses(*map(deployed.url_of, NODES)), _clients(deployed) as loops:
        code, _ = deployed.deploy()
    assert code == 0
    assert served(loops) == set(NODES)
    assert [deployed.image(one, service) for one in NODES] == [new] * 3
    assert [deployed.marks(one) for one in NODES] == [""] * 3


def test_an_upgrade_that_fails_goes_back_on_the_first_node_and_ends_there(deployed: Deployed) -> None:
    before = [deployed.image(one) for one in NODES]
    deployed.make_image("ollama:broken", 'ENTRYPOINT ["false"]')
    deployed.write({"ollama_image": "ollama:broken"})
    with _clients(deployed) as loops:
        code, output = deployed.deploy()
    assert code == 1
    assert served(loops) == set(NODES)
    assert [deployed.image(one) for one in NODES] == before
    assert "h1 failed; not changed: h2 and h3" in output
    assert [deployed.marks(one) for one in NODES] == [""] * 3


def test_a_node_without_its_cable_for_a_while_costs_no_request(deployed: Deployed) -> None:
    """What Docker Swarm answers with 500 for some seconds, once such a node is back."""
    with _clients(deployed, NODES[1:]) as loops:
        deployed.house.cut("h1")
        begun = time.monotonic()
        wait_until(lambda: {_backend(deployed) for _ in range(6)} == {"h2", "h3"}, NOTICED)
        time.sleep(max(0.0, 20 - (time.monotonic() - begun)))
        deployed.house.join("h1")
        wait_until(lambda: "h1" in {_backend(deployed) for _ in range(6)}, NOTICED)
    assert {"h2", "h3"} <= served(loops)


def test_a_node_that_loses_power_leaves_the_others_serving(deployed: Deployed) -> None:
    deployed.house.off("h1")
    try:
        with _clients(deployed) as loops:
            assert all(prompt(1, at=deployed.url_of("h2")).complete for _ in range(5))
        assert served(loops) == {"h2", "h3"}
    finally:
        deployed.house.on("h1")
    wait_until(lambda: "h1" in {_backend(deployed) for _ in range(6)}, 120)


def _backend(deployed: Deployed) -> str:
    return prompt(1, at=deployed.url_of("h2")).backend


def _clients(deployed: Deployed, reachable: tuple[str, ...] = NODES) -> AbstractContextManager[list[PromptLoop]]:
    return clients(*map(deployed.url_of, reachable), lengths=(1, 300))
