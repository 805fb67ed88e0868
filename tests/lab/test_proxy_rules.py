"""The table of cases against the deployed stack, from outside the guest: the groups that `tests/acceptance` skips.

The other groups run in `tests/acceptance/test_proxy.py`, all of them on loopback in `tests/proxy`. Rows with separate
tests are in `ELSEWHERE` in `tests/support/proxy_rules/cases.py`.
"""

from __future__ import annotations

import re

import pytest

import lab
from hearth.paths import CONTAINERS, ROOT
from hearth.settings.model import Settings
from tests.lab.machine import on_guest
from tests.support.proxy_rules import behaviour
from tests.support.proxy_rules.cases import failures
from tests.support.proxy_rules.target import ProxyTarget
from tests.support.shipped import shipped_settings

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

LISTED = "http://listed.example:8080"  # in inventory/lab.py
# Under emulation. The proxy itself is measured in tests/proxy.
SLOWDOWN = 20.0


class Guest:
    """The guest's Ollama: counts its requests, and can be stopped."""

    def requests(self) -> int:
        """Completed requests, without those of the health check, which come from the container itself."""
        log = on_guest(f"sudo docker logs {CONTAINERS['ollama']} 2>&1")
        return len(re.findall(r"^\[GIN\](?!.*\| *(?:127\.0\.0\.1|::1) \|)", log, re.MULTILINE))

    def stop(self) -> None:
        """A killed container has no name either, and Docker does not restart it."""
        on_guest(f"sudo docker kill {CONTAINERS['ollama']}")

    def remove_name(self) -> None:
        """Its name is already gone."""

    def start(self) -> None:
        on_guest(f"cd {ROOT} && sudo docker compose up -d --wait ollama", timeout=300)


@pytest.fixture
def proxy() -> ProxyTarget:
    """The deployed proxy, from outside the guest."""
    status = lab.status(must_run=True)
    settings: Settings = shipped_settings(ollama_models=list(status.models), allowed_origins=[LISTED])
    return ProxyTarget(("127.0.0.1", int(status.forwards[str(settings.proxy_port)])), settings, Guest())


@pytest.mark.parametrize("group", ["smuggling", pytest.param("big", marks=pytest.mark.long)])
def test_proxy_rules(proxy: ProxyTarget, group: str) -> None:
    assert failures(proxy, group) == []


def test_slow_clients(proxy: ProxyTarget) -> None:
    behaviour.slow_clients(proxy, SLOWDOWN)


def test_concurrency_limit(proxy: ProxyTarget) -> None:
    behaviour.concurrency_limit(proxy, SLOWDOWN)


@pytest.mark.long
def test_slots_are_freed(proxy: ProxyTarget) -> None:
    behaviour.slots_are_freed(proxy, SLOWDOWN)


@pytest.mark.long
def test_ollama_unavailable(proxy: ProxyTarget) -> None:
    behaviour.ollama_unavailable(proxy, Guest(), SLOWDOWN)
