"""The table of cases against the real httpd and the real Ollama; requests that reach Ollama are counted."""

from __future__ import annotations

import pytest

from tests.acceptance.api import call
from tests.proxy.conftest import Serve
from tests.proxy.ollama import Ollama
from tests.support.proxy_rules.case import Case
from tests.support.proxy_rules.cases import GROUPS
from tests.support.proxy_rules.target import ProxyTarget

CASES = [
    pytest.param(case, id=f"{group}-{case.number}-{case.name}") for group, cases in GROUPS.items() for case in cases
]


@pytest.fixture(scope="module")
def proxy(serve_module: Serve, ollama: Ollama) -> ProxyTarget:
    """A proxy with a listed origin and a small body limit."""
    web = serve_module(upstream=ollama.address, allowed_origins=["http://listed.example:8080"], proxy_max_body="64k")
    return ProxyTarget((web.address, web.port), web.settings, ollama)


def run_case(case: Case, proxy: ProxyTarget) -> None:
    """Run one case, and compare the number of requests that reach Ollama with the expected one."""
    before = proxy.ollama.requests()
    case.run(proxy)
    # One more allowed request: it is logged after all earlier ones.
    assert call(f"http://{proxy.netloc}", "GET", "/api/version").status == 200
    assert proxy.settled(before + case.expected.upstream + 1) == before + case.expected.upstream + 1


@pytest.mark.parametrize("case", CASES)
def test_proxy_rules(case: Case, proxy: ProxyTarget) -> None:
    run_case(case, proxy)
