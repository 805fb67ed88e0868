"""`hearth verify` on an inventory of hosts with different roles."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.house.conftest import GATEWAY, Deployed, Roles
from tests.support.shipped import PROJECT

ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": {"default": [{"host": "h2"}], "far": [{"host": "h3"}]}},
    "h2": {"host_role": "backend"},
    "h3": {"host_role": "backend", "ollama_publish_tls": True},
}

pytestmark = pytest.mark.long


def test_hosts_of_each_role_pass(deploy_house: Callable[[Roles], Deployed]) -> None:
    deployed = deploy_house(ROLES)
    words = ["-m", "hearth.cli.command", "verify", str(deployed.inventory), "--", "-v"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    passed = set(re.findall(r"::(\w+)\[(?:\w+-)?(h\d)\S*\] PASSED", done.stdout))
    for host in ROLES:
        assert ("test_services_are_healthy_with_the_configured_images", host) in passed
        assert ("test_files_match_the_settings", host) in passed
    assert {("test_tokens_arrive_when_they_are_generated", GATEWAY), ("test_no_problem_is_found", GATEWAY)} <= passed
    assert ("test_ollama_has_the_configured_environment", "h2") in passed
    assert ("test_certificate_is_valid_for_the_configured_names", "h3") in passed
