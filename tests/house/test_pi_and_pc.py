"""A host that is gateway and backend at once, and another backend that is used first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.house.clients import clients, served
from tests.house.conftest import GATEWAY, Deployed, Roles

PI, PC = GATEWAY, "h2"
ROLES: Roles = {
    PI: {"ollama_pools": {"default": [{"host": PC, "slots": 4}, {"host": PI, "priority": 2}]}},
    PC: {"host_role": "backend"},
}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    return deploy_house(ROLES)


def test_an_upgrade_of_ollama_cuts_and_refuses_nothing(deployed: Deployed) -> None:
    deployed.make_image("ollama/ollama:upgrade", "LABEL number=1")
    deployed.write({"ollama_image": "ollama/ollama:upgrade"})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 0
    assert served(loops) == {PC, PI}
    assert [deployed.image(one) for one in (PC, PI)] == ["ollama/ollama:upgrade"] * 2
    assert deployed.marks() == ""
    for one in (PC, PI):
        assert f"A test prompt was answered by {one} through this gateway." in output
        assert f"This gateway uses {one} again." in output
    code, output = deployed.deploy()
    assert output.count("changed: nothing") == 2
