"""What the proxy lets through, refuses and says, called from outside the host."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from hearth.host_paths import CONTAINERS
from hearth.model_names import full_name
from hearth.settings import Settings
from hearth.values import size_in_bytes
from tests.acceptance.api import Answer, call
from tests.acceptance.conftest import Target

R = "/api/ollama"
FOREIGN = "http://evil.example"


def prompt(settings: Settings, **more: Any) -> dict[str, Any]:
    return {"model": settings.ollama_models[0], "prompt": "hi", "stream": False, **more}


def refused_with_json(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.all("content-type") == ["application/json"]
    assert answer.json()["error"]


def posts_seen_by_ollama(host: Any) -> int:
    """How many requests other than GET and HEAD Ollama's own log has (its health check makes GET and HEAD)."""
    log = host.check_output(f"docker logs {CONTAINERS['ollama']} 2>&1")
    return len(re.findall(r"^\[GIN\].*\| (?:POST|PUT|PATCH|DELETE|OPTIONS) ", log, re.MULTILINE))


def test_page_is_served_with_its_title_and_policy(target: Target, settings: Settings) -> None:
    answer = call(target.url, "GET", "/")
    assert answer.status == 200
    assert settings.chat_title.replace("&", "&amp;").encode() in answer.body
    assert "default-src 'none'" in answer.all("content-security-policy")[0]
    for name in set(re.findall(r'(?:src|href)="([^"#]+)"', answer.body.decode())):
        assert call(target.url, "GET", f"/{name}").status == 200, name


def test_every_route_exists_and_takes_only_its_methods(target: Target, settings: Settings) -> None:
    for route in (route for route in settings.routes if route.is_ollama):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = call(target.url, method, route.path, {} if method in ("POST", "PUT") else None)
            if method in route.methods:
                # An empty question is Ollama's own to refuse: with its JSON, not the proxy's page.
                assert answer.status in (200, 400, 404), (method, route.path, answer)
            else:
                refused_with_json(answer, 405)


# Ollama's management, its endpoints under their own names, and ways around the exact paths.
NO_ROUTES = [
    ("DELETE", "/api/delete"),
    ("POST", "/api/pull"),
    ("POST", "/api/push"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("POST", "/api/generate"),
    ("POST", "/api/blobs/sha256:0"),
    ("POST", "/api/ollama/../delete"),
    ("DELETE", "/api/ollama/%2e%2e/delete"),
    ("POST", "/api/ollama/x"),
    ("POST", "/api/ollama/..;/delete"),
]


def test_what_is_no_route_never_reaches_ollama(target: Target, host: Any) -> None:
    before = posts_seen_by_ollama(host)
    for method, path in NO_ROUTES:
        assert call(target.url, method, path, {"model": "x"}).status in (400, 404, 405), (method, path)
    assert posts_seen_by_ollama(host) == before


def test_same_origin_is_let_in_without_cors_headers(target: Target, settings: Settings) -> None:
    origin = f"http://{urlsplit(target.url).netloc}"
    answer = call(target.url, "POST", R, prompt(settings), {"Origin": origin})
    assert answer.status == 200, answer
    assert answer.all("access-control-allow-origin") == []
    assert answer.all("vary") == ["Origin"]


def test_no_origin_is_let_in(target: Target, settings: Settings) -> None:
    assert call(target.url, "POST", R, prompt(settings)).status == 200


def test_listed_origins_are_let_in_and_named_once(target: Target, settings: Settings) -> None:
    for origin in exact_origins(settings):
        answer = call(target.url, "POST", R, prompt(settings), {"Origin": origin})
        assert answer.status == 200, answer
        assert answer.all("access-control-allow-origin") == [origin]
        assert answer.all("vary") == ["Origin"]


def look_alikes(settings: Settings) -> list[str]:
    """Origins that resemble a listed one, or are none."""
    found = [FOREIGN, "null", "http://", "evil"]
    for origin in exact_origins(settings):
        found += [
            f"{origin}.evil.example",
            f"{origin}/",
            f"{origin}0",
            origin.upper(),
            origin.replace(".", "x", 1),
            f"{FOREIGN}?{origin}",
            f"{origin} {FOREIGN}",
            f"{origin},{FOREIGN}",
        ]
    return found


def exact_origins(settings: Settings) -> list[str]:
    return [origin for origin in settings.allowed_origins if "*" not in origin]


def test_foreign_origins_are_refused_before_ollama_sees_them(target: Target, settings: Settings, host: Any) -> None:
    before = posts_seen_by_ollama(host)
    for origin in look_alikes(settings):
        answer = call(target.url, "POST", R, prompt(settings), {"Origin": origin})
        refused_with_json(answer, 403)
        assert answer.all("access-control-allow-origin") == [], origin
    assert posts_seen_by_ollama(host) == before
    # … and the counter does count.
    call(target.url, "POST", R, prompt(settings))
    assert posts_seen_by_ollama(host) == before + 1


def test_preflight_of_a_listed_origin(target: Target, settings: Settings, host: Any) -> None:
    if not exact_origins(settings):
        pytest.skip("allowed_origins is empty here, so there is no listed origin to try")
    before = posts_seen_by_ollama(host)
    for origin in exact_origins(settings):
        asks = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = call(target.url, "OPTIONS", R, headers=asks)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.all("access-control-allow-origin") == [origin]
        assert answer.all("access-control-allow-methods") == ["POST"]
        assert "content-type" in answer.all("access-control-allow-headers")[0].lower()
    assert posts_seen_by_ollama(host) == before


def test_preflight_of_a_foreign_origin_gives_no_permission(target: Target) -> None:
    answer = call(target.url, "OPTIONS", R, headers={"Origin": FOREIGN, "Access-Control-Request-Method": "POST"})
    assert answer.status == 204
    assert [name for name, _ in answer.headers if name.startswith("access-control-")] == []


def test_errors_are_json_and_readable_for_listed_origins(target: Target, settings: Settings) -> None:
    origins: list[str | None] = [*exact_origins(settings), None]
    for origin in origins:
        headers = {"Origin": origin} if origin else {}
        unknown = call(target.url, "POST", R, prompt(settings, model="no-such-model"), headers)
        assert unknown.status == 404
        assert "no-such-model" in unknown.json()["error"]  # Ollama's own words
        assert unknown.all("access-control-allow-origin") == ([origin] if origin else [])
        wrong = call(target.url, "PUT", R, {}, headers)
        refused_with_json(wrong, 405)
        assert wrong.all("access-control-allow-origin") == ([origin] if origin else [])


def test_names_that_are_not_ours_get_nothing(target: Target) -> None:
    refused_with_json(call(target.url, "POST", R, {}, {"Host": "evil.example", "Origin": "http://evil.example"}), 421)
    assert call(target.url, "GET", "/", headers={"Host": "evil.example"}).status == 421
    assert call(target.url, "GET", "/", headers={"Host": "pi.local"}).status == 200


def test_body_without_length_or_too_long_is_refused(target: Target, settings: Settings) -> None:
    refused_with_json(call(target.url, "POST", R, b"", {"Transfer-Encoding": "chunked"}), 411)
    too_long = str(size_in_bytes(settings.proxy_max_body) + 1)
    refused_with_json(call(target.url, "POST", R, None, {"Content-Length": too_long}), 413)


def test_ollama_itself_is_closed_from_outside(target: Target, settings: Settings) -> None:
    if settings.ollama_publish and not settings.ollama_publish.startswith("127."):
        pytest.skip(f"ollama_publish = {settings.ollama_publish!r} opens it on purpose")
    port = 11434
    said = b""
    try:
        with socket.create_connection(target.reached_at(port), timeout=10) as connection:
            connection.sendall(b"GET /api/version HTTP/1.0\r\n\r\n")
            connection.settimeout(10)
            said = connection.recv(100)
    except OSError:
        pass  # refused, or reset: nobody there
    assert said == b""


def test_declared_models_are_there(target: Target, settings: Settings) -> None:
    have = {model["name"] for model in call(target.url, "GET", "/api/tags").json()["models"]}
    assert {full_name(model) for model in settings.ollama_models} <= have
