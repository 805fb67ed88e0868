"""Providers in the internet: their routes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.settings.load import SettingsError
from hearth.settings.providers import ENDPOINTS
from tests.proxy.properties.values import HOSTILE
from tests.support.shipped import shipped_settings

OPENAI: dict[str, Any] = {"url": "https://api.openai.com/v1", "key": {"env": "OPENAI_KEY"}}
CLAUDE: dict[str, Any] = {"url": "https://api.anthropic.com/v1/", "key": {"env": "C"}, "api": "anthropic"}
HOME: dict[str, Any] = {"proxy_access": "networks", "proxy_allowed_networks": ["192.168.1.0/24"]}


def routes_of(**providers: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Path → target and methods, of providers' routes."""
    settings = shipped_settings(**HOME, proxy_providers=providers)
    return {route.path: (route.to, route.methods) for route in settings.routes if route.provider_api}


def test_each_endpoint_is_one_route() -> None:
    found = routes_of(openai=OPENAI, claude=CLAUDE)
    assert len(found) == len(ENDPOINTS["openai"]) + len(ENDPOINTS["anthropic"])
    assert found["/openai/v1/responses"] == ("https://api.openai.com/v1/responses", ("POST",))
    assert found["/claude/v1/messages"] == ("https://api.anthropic.com/v1/messages", ("POST",))
    assert found["/claude/v1/models"] == ("https://api.anthropic.com/v1/models", ("GET",))


def test_own_endpoints_replace_the_usual_ones() -> None:
    router = {
        "url": "https://openrouter.ai/api/v1",
        "key": {"env": "R"},
        "endpoints": ["GET /credits", "POST /credits"],
    }
    assert routes_of(router=router) == {"/router/v1/credits": ("https://openrouter.ai/api/v1/credits", ("GET", "POST"))}


def test_they_are_written_as_in_the_inventory() -> None:
    settings = shipped_settings(**HOME, proxy_providers={"openai": OPENAI})
    assert settings.model_dump(mode="json")["proxy_providers"] == {"openai": OPENAI}


def test_a_backend_has_none() -> None:
    settings = shipped_settings(host_role="backend", proxy_providers={"openai": OPENAI})
    assert not settings.has_secrets
    assert not settings.proxy_providers


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"proxy_providers": {"openai": OPENAI}}, "with proxy_access = 'anyone', everyone who reaches the port could"),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"access": "anyone"}}}, "with access = 'anyone', everyone"),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"access": "users"}}}, "requires proxy_users, which is empty"),
        (HOME | {"proxy_providers": {"api": OPENAI}}, "/api is a path already"),
        (HOME | {"proxy_providers": {"Open AI": OPENAI}}, "becomes the first part of paths"),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"url": "http://api.openai.com/v1"}}}, "be sent unencrypted"),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"url": "https://api.openai.com"}}}, "as its base URL"),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"url": "https://pc.local/v1"}}}, 'not resolve ".local" names'),
        (HOME | {"proxy_providers": {"openai": OPENAI | {"key": "sk-secret"}}}, "never write secrets in the settings"),
        (
            HOME | {"proxy_providers": {"openai": OPENAI | {"endpoints": ["/files"]}}},
            'such as "POST /chat/completions"',
        ),
        (
            HOME
            | {
                "proxy_providers": {"big": OPENAI},
                "ollama_pools": {"big": [{"url": "http://192.168.1.30:11434"}]},
            },
            "have the same paths; rename one of them",
        ),
        (
            HOME
            | {
                "proxy_providers": {"flask": OPENAI},
                "proxy_extra_routes": [
                    {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET"]}
                ],
            },
            "has all paths below /flask; rename it, or the route /flask/",
        ),
        (
            HOME | {"proxy_providers": {f"p{number}": OPENAI for number in range(8)}},
            "list fewer providers",
        ),
    ],
)
def test_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        shipped_settings(**values)
    assert reason in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_no_text_gets_into_a_generated_file(text: str) -> None:
    providers: tuple[dict[str, Any], ...] = (
        {"openai": OPENAI | {"url": f"https://api.openai.com/v1{text}"}},
        {"openai": OPENAI | {"url": f"https://api.openai.com{text}/v1"}},
        {"openai": OPENAI | {"endpoints": [f"POST /chat{text}"]}},
        {f"openai{text}": OPENAI},
    )
    for provider in providers:
        try:
            routes = shipped_settings(**HOME, proxy_providers=provider).routes
        except SettingsError:
            continue
        for route in routes:
            assert set(route.path + route.to) <= set(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._~{}-"
            )
