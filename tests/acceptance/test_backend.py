"""A backend on :5001 that existed before Hearth: still running, unchanged, reachable by its route if there is one."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.settings.model import Settings
from tests.acceptance.api import call
from tests.acceptance.conftest import Target
from tests.lab.backend import ANSWER, PORT, RECORD, UNIT


def test_hearth_does_not_use_the_backends_port(settings: Settings) -> None:
    assert PORT not in {port for _, port in settings.published_ports}


def test_backend_was_not_restarted(target: Target, host: Any) -> None:
    if not host.file(RECORD).exists:
        pytest.skip(f"no backend was recorded in {RECORD} before the deploy (the lab does that)")
    now = host.check_output(f"systemctl show {UNIT} --property InvocationID")
    assert now == host.file(RECORD).content_string.strip(), "it was restarted"
    address, port = target.address_of(PORT)
    answer = call(f"http://{address}:{port}", "GET", "/anything")
    assert (answer.status, answer.body.decode().strip()) == (200, ANSWER)


@pytest.mark.needs("page")
def test_route_to_the_backend_works(target: Target, settings: Settings, host: Any) -> None:
    routes = [route for route in settings.routes if f":{PORT}/" in route.to]
    if not routes or not host.file(RECORD).exists:
        pytest.skip(f"no route to a backend on :{PORT} is configured, or none runs there")
    for route in routes:
        answer = call(target.url, "GET", f"{route.path}anything" if route.is_prefix else route.path)
        assert (answer.status, answer.body.decode().strip()) == (200, ANSWER)
