"""What the proxy allows, refuses and returns, tested from outside the host."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from hearth.paths import CONTAINERS
from hearth.settings.model import Settings
from hearth.settings.model_names import full_name
from tests.acceptance.api import Answer, call
from tests.acceptance.conftest import Target
from tests.support.proxy_rules.cases import GROUPS, failures
from tests.support.proxy_rules.target import ProxyTarget

pytestmark = pytest.mark.needs("page")
FOREIGN = "http://evil.example"


def refused_with_json(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.all("content-type") == ["application/json"]
    assert answer.json()["error"]


def test_page_has_its_title_and_content_security_policy(target: Target, settings: Settings) -> None:
    answer = call(target.url, "GET", "/")
    assert answer.status == 200
    assert settings.chat_title.replace("&", "&amp;").encode() in answer.body
    assert "default-src 'none'" in answer.all("content-security-policy")[0]
    for name in set(re.findall(r'(?:src|href)="([^"#]+)"', answer.body.decode())):
        assert call(target.url, "GET", f"/{name}").status == 200, name


def test_routes_exist_and_allow_only_their_methods(target: Target, settings: Settings) -> None:
    for route in (route for route in settings.routes if route.is_ollama):
        path = route.path.replace("{model}", "no-such-model")
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = call(target.url, method, path, {} if method in ("POST", "PUT") else None)
            if method in route.methods:
                # An empty prompt is refused by Ollama, with its JSON, not by the proxy.
                assert answer.status in (200, 400, 404), (method, route.path, answer)
            else:
                refused_with_json(answer, 405)


class Log:
    """The logs of Ollamas on hosts, and their number of requests."""

    def __init__(self, hosts: list[Any]) -> None:
        self._hosts = hosts

    def requests(self) -> int:
        """Completed requests, without those of the health check, which come from the container itself."""
        logs = [host.check_output(f"docker logs {CONTAINERS['ollama']} 2>&1") for host in self._hosts]
        return sum(len(re.findall(r"^\[GIN\](?!.*\| *(?:127\.0\.0\.1|::1) \|)", log, re.MULTILINE)) for log in logs)


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("smuggling", "big")])
def test_proxy_rules(group: str, target: Target, settings: Settings, chat_model: str, ollamas: list[Any]) -> None:
    if not all(access.anyone for access in settings.accesses):
        pytest.skip("the cases send no credentials")
    parts = urlsplit(target.url)
    proxy = ProxyTarget((parts.hostname or "", parts.port or 80), settings, Log(ollamas), chat_model)
    assert failures(proxy, group) == []


def exact_origins(settings: Settings) -> list[str]:
    return [origin for origin in settings.allowed_origins if "*" not in origin]


@pytest.mark.needs("ollama")
def test_ollama_is_not_reachable_from_outside(target: Target, settings: Settings) -> None:
    if settings.ollama_publish and not settings.ollama_publish.startswith("127."):
        pytest.skip(f"ollama_publish = {settings.ollama_publish!r} opens it on purpose")
    port = 11434
    received = b""
    try:
        with socket.create_connection(target.address_of(port), timeout=10) as connection:
            connection.sendall(b"GET /api/version HTTP/1.0\r\n\r\n")
            connection.settimeout(10)
            received = connection.recv(100)
    except OSError:
        pass  # refused or reset: not listening
    assert received == b""


def test_configured_models_are_installed(target: Target) -> None:
    have = {model["name"] for model in call(target.url, "GET", "/api/tags").json()["models"]}
    assert {full_name(model) for model in target.models} <= have
