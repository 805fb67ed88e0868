"""`hearth verify` on an inventory of hosts with different roles."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.house.conftest import GATEWAY, Deployed, Roles

ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": {"default": [{"host": "h2"}], "far": [{"host": "h3"}]}},
    "h2": {"host_role": "backend"},
    "h3": {"host_role": "backend", "ollama_publish_tls": True},
}

pytestmark = pytest.mark.long


def test_hosts_of_each_role_pass(deploy_house: Callable[[Roles], Deployed]) -> None:
    deployed = deploy_house(ROLES)
    code, output = deployed.verify()
    assert code == 0
    passed = set(re.findall(r"::(\w+)\[(?:\w+-)?(h\d)\S*\] PASSED", output))
    for host in ROLES:
        assert ("test_services_are_healthy_with_the_configured_images", host) in passed
        assert ("test_files_match_the_settings", host) in passed
    assert {("test_tokens_arrive_when_they_are_generated", GATEWAY), ("test_no_problem_is_found", GATEWAY)} <= passed
    assert ("test_ollama_has_the_configured_environment", "h2") in passed
    assert ("test_certificate_is_valid_for_the_configured_names", "h3") in passed
