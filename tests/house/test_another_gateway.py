"""A gateway that uses another backend than before, while the former one still streams to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.errors import LabError
from tests.house.clients import long_responses
from tests.house.conftest import GATEWAY, Deployed, Roles
from tests.lab.clients import prompt

OTHER, FORMER, NEXT = "h2", "h3", "h4"
ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": {"default": [{"host": FORMER}, {"host": NEXT}]}},
    OTHER: {"host_role": "gateway", "ollama_pools": {"default": [{"host": FORMER}]}},
    **{name: {"host_role": "backend"} for name in (FORMER, NEXT)},
}


@pytest.mark.long
def test_a_former_gateway_is_shut_out_after_its_own_turn(deploy_house: Callable[[Roles], Deployed]) -> None:
    deployed = deploy_house(ROLES)
    url = deployed.url_of(OTHER)
    connect = f"exec 3<>/dev/tcp/{deployed.house.hosts[FORMER].address}/11434"
    deployed.house.ssh(OTHER, connect)
    deployed.write(
        {"docker_drain_timeout": 300},
        at={OTHER: {"ollama_pools": {"default": [{"host": NEXT}]}}},
    )
    with long_responses(url) as streams:
        assert streams[0].streamed.backend == FORMER
        code, _ = deployed.deploy()
    assert code == 0
    assert prompt(1, at=url).backend == NEXT
    with pytest.raises(LabError):
        deployed.house.ssh(OTHER, connect)
    deployed.check_that_nothing_differs()
