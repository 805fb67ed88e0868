"""The address that several hosts share, if there is one: it leads to the page, and this host can take it over."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.paths import VIRTUAL_ADDRESS_SERVICE
from hearth.settings.model import Settings
from tests.acceptance.api import call
from tests.acceptance.conftest import credentials


@pytest.fixture(autouse=True)
def _needs_address(settings: Settings) -> None:
    if not settings.host_virtual_address:
        pytest.skip('host_virtual_address = ""')


def test_virtual_address_leads_to_the_page(settings: Settings) -> None:
    url = f"http://{settings.host_virtual_address}:{settings.proxy_port}"
    answer = call(url, "GET", "/", headers=credentials(settings), timeout=30)
    assert answer.status == (200 if settings.proxy_tls == "off" else 308)


def test_host_can_take_the_virtual_address_over(host: Any) -> None:
    service = host.service(VIRTUAL_ADDRESS_SERVICE)
    assert service.is_running
    assert service.is_enabled
