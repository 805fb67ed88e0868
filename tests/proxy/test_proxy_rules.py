"""The table of cases against the real httpd and the real Ollama; requests that reach Ollama are counted."""

from __future__ import annotations

import pytest

from tests.acceptance.api import call
from tests.proxy.conftest import Serve
from tests.proxy.ollama import Ollama
from tests.support.proxy_rules.case import Case
from tests.support.proxy_rules.cases import GROUPS
from tests.support.proxy_rules.place import Place

CASES = [
    pytest.param(case, id=f"{group}-{case.number}-{case.name}") for group, cases in GROUPS.items() for case in cases
]


@pytest.fixture(scope="module")
def place(serve_module: Serve, ollama: Ollama) -> Place:
    """A proxy with a listed origin and a small body limit."""
    web = serve_module(upstream=ollama.address, allowed_origins=["http://listed.example:8080"], proxy_max_body="64k")
    return Place((web.address, web.port), web.settings, ollama)


@pytest.mark.parametrize("case", CASES)
def test_proxy_rules(case: Case, place: Place) -> None:
    before = place.ollama.requests()
    case.run(place)
    # One more allowed request: it is logged after all earlier ones.
    assert call(f"http://{place.netloc}", "GET", "/api/version").status == 200
    assert place.settled(before + case.expected.upstream + 1) == before + case.expected.upstream + 1
