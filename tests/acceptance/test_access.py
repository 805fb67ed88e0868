"""Without sign-in there is no access where it is required, and no request reaches Ollama."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.settings.model import Settings
from tests.acceptance.api import basic, bearer, call
from tests.acceptance.conftest import Target
from tests.acceptance.test_proxy import Log

pytestmark = pytest.mark.needs("page")
WRONG = ({"Authorization": ""}, bearer("not-a-key-of-this-host"), basic("nobody", "not a password"))


def test_page_requires_sign_in(target: Target, settings: Settings) -> None:
    if not settings.page_access.needs_sign_in:
        pytest.skip(f"proxy_access = {settings.proxy_access!r} needs no sign-in")
    for headers in WRONG:
        answer = call(target.url, "GET", "/", headers=headers)
        assert answer.status in (401, 403), answer
        assert b"<script" not in answer.body
    assert call(target.url, "GET", "/").status == 200, "with the configured credentials"


def test_routes_require_sign_in(target: Target, settings: Settings, ollamas: list[Any]) -> None:
    routes = [route for route in settings.routes if route.is_ollama and settings.access_of(route).needs_sign_in]
    if not routes:
        pytest.skip("no route needs a sign-in")
    before = Log(ollamas).requests()
    for route in routes:
        for headers in WRONG:
            answer = call(target.url, route.methods[0], route.path.replace("{model}", "no-such-model"), {}, headers)
            assert answer.status in (401, 403, 404), (route.path, answer)
            if answer.status == 401:
                assert answer.all("www-authenticate")
    assert Log(ollamas).requests() == before
