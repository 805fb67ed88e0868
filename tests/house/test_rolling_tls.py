"""Deploys of a gateway and two backends behind TLS: both containers of a backend change, and clients notice nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.house.clients import clients, long_responses, served
from tests.house.conftest import GATEWAY, Deployed, Roles

BACKENDS = ("h2", "h3")
ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": {"default": [{"host": name} for name in BACKENDS]}},
    **{name: {"host_role": "backend", "ollama_publish_tls": True} for name in BACKENDS},
}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    return deploy_house(ROLES)


@pytest.mark.parametrize(
    ("service", "setting", "image"),
    [("ollama", "ollama_image", "ollama/ollama:upgrade"), ("httpd", "proxy_image", "httpd:upgrade")],
)
def test_an_upgrade_cuts_and_refuses_nothing(deployed: Deployed, service: str, setting: str, image: str) -> None:
    deployed.make_image(image, "LABEL number=1", service)
    deployed.write({setting: image})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 0
    assert served(loops) == set(BACKENDS)
    assert [deployed.image(one, service) for one in BACKENDS] == [image] * 2
    for one in BACKENDS:
        assert f"A test prompt was answered by {one} through this gateway." in output
        assert f"This gateway uses {one} again." in output
    assert deployed.marks() == ""
    code, output = deployed.deploy()
    assert output.count("changed: nothing") == 3


def test_a_rollback_cuts_and_refuses_nothing(deployed: Deployed) -> None:
    """It replaces both containers: the two upgrades before are of one each."""
    deployed.write({"docker_drain_timeout": 300})
    with long_responses(deployed.url, deployed.url), clients(deployed.url) as loops:
        code, output = deployed.deploy("--limit", "h2", "--limit", "h3", run="deploys/rollback.py")
    assert code == 0
    assert served(loops) == set(BACKENDS)
    assert "waiting up to 300 s for it to finish" in output
    assert [deployed.image(one) for one in BACKENDS] == ["ollama/ollama:upgrade"] * 2
    assert [deployed.image(one, "httpd") for one in BACKENDS] == [deployed.house.images["httpd"]] * 2
    assert deployed.marks() == ""
