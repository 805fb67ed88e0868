"""The route table: exact paths to Ollama's endpoints, and none that changes the host."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from hearth.settings.routes import OLLAMA_ENDPOINTS, OLLAMA_MANAGEMENT, Route, check_table


def route(path: str, to: str = "/api/chat", *methods: str) -> Route:
    return Route.model_validate({"path": path, "to": to, "methods": methods or ("POST",)})


@pytest.mark.parametrize("endpoint", sorted(OLLAMA_ENDPOINTS))
def test_every_endpoint_can_be_routed_with_all_its_methods(endpoint: str) -> None:
    made = route("/some/path/{model}" if "{model}" in endpoint else "/some/path", endpoint, *OLLAMA_ENDPOINTS[endpoint])
    assert made.is_ollama
    assert not made.is_prefix


@pytest.mark.parametrize("endpoint", sorted(OLLAMA_MANAGEMENT))
def test_management_can_be_routed_and_is_recognized(endpoint: str) -> None:
    made = route("/some/path/" if endpoint.endswith("/") else "/some/path", endpoint, *OLLAMA_MANAGEMENT[endpoint])
    assert made.is_management
    assert made.is_upload == (endpoint == "/api/blobs/")


@pytest.mark.parametrize("endpoint", ["/api/me", "/api/signout", "/api/user/keys/x", "/api/user"])
def test_the_hosts_account_is_never_routed(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="account"):
        route("/x", endpoint)


def test_management_and_other_endpoints_are_disjoint() -> None:
    assert not OLLAMA_MANAGEMENT.keys() & OLLAMA_ENDPOINTS.keys()


def test_an_upload_matches_only_names_of_model_files() -> None:
    pattern = re.compile(route("/api/blobs/", "/api/blobs/", "POST").pattern)
    assert pattern.fullmatch(f"/api/blobs/sha256:{'0' * 64}")
    assert not any(
        pattern.fullmatch(f"/api/blobs/{name}")
        for name in ("", "x", "sha256:0", f"sha256-{'0' * 64}", f"sha256:{'0' * 64}/x")
    )


@pytest.mark.parametrize("access", ["anyone", "users", "networks and (users or api_keys)", ""])
def test_a_route_has_an_access_policy(access: str) -> None:
    written = {"path": "/x", "to": "/api/chat", "methods": ["POST"]} | ({"access": access} if access else {})
    made = Route.model_validate(written)
    assert made.access == access
    assert made.model_dump(mode="json") == written, "recorded as written"


@pytest.mark.parametrize(
    ("path", "to", "methods", "instead"),
    [
        ("/", "/api/chat", ["POST"], "chat page"),
        ("api/chat", "/api/chat", ["POST"], 'starts with "/"'),
        ("/api/../x", "/api/chat", ["POST"], 'starts with "/"'),
        ("/a//b", "/api/chat", ["POST"], 'starts with "/"'),
        ("/a b", "/api/chat", ["POST"], 'starts with "/"'),
        ('/a"', "/api/chat", ["POST"], 'starts with "/"'),
        ("/a\nb", "/api/chat", ["POST"], 'starts with "/"'),
        ("/a%2fb", "/api/chat", ["POST"], 'starts with "/"'),
        ("/a.*", "/api/chat", ["POST"], 'starts with "/"'),
        ("/x", "/api/", ["POST"], "use one of /api/generate"),
        ("/x/{model}", "/api/chat", ["POST"], 'use "/x"'),
        ("/x", "/v1/models/{model}", ["GET"], 'use "/x/{model}"'),
        ("/x{model}", "/v1/models/{model}", ["GET"], 'starts with "/"'),
        ("/{model}/x", "/v1/models/{model}", ["GET"], 'starts with "/"'),
        ("/x/{name}", "/v1/models/{model}", ["GET"], 'starts with "/"'),
        ("/x/{model}", "http://10.0.0.1:5001/{model}", ["GET"], "only routes to Ollama"),
        ("/v1/models/", "/v1/models/", ["GET"], "/v1/models/{model}"),
        ("/x", "/api/experimental/web_search", ["POST"], "Ollama has no"),
        ("/x", "/API/chat", ["POST"], "Ollama has no"),
        ("/x/", "/api/chat", ["POST"], 'use "/x"'),
        ("/x", "/api/chat", ["GET"], "use ['POST']"),
        ("/x", "/api/tags", ["GET", "DELETE"], "use ['GET', 'HEAD']"),
        ("/x", "/api/chat", [], "list the allowed methods"),
        ("/x", "/api/chat", ["OPTIONS"], "'GET', 'HEAD', 'POST'"),
        ("/x", "/api/chat", ["post"], "'GET', 'HEAD', 'POST'"),
        ("/x/", "host.docker.internal:5001/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "https://10.0.0.1:5001/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "http://10.0.0.1/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", 'http://10.0.0.1:5001/" x "/', ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "http://10.0.0.1:5001/a?b=1/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x", "/api/blobs/", ["POST"], 'use "/x/"'),
        ("/x/", "/api/blobs", ["POST"], 'use "/api/blobs/"'),
        ("/x", "/api/blobs/sha256:0", ["POST"], 'use "/api/blobs/"'),
        ("/x", "/api/delete", ["POST"], "use ['DELETE']"),
        ("/x/", "http://localhost:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://127.0.0.1:80/", ["GET"], "http://host.docker.internal:"),
        # Resolvers also accept these for the machine itself.
        ("/x/", "http://0:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://0.0.0.0:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://127.1:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://2130706433:80/", ["GET"], "http://host.docker.internal:"),
        # Attempts to bypass the rules for Ollama's endpoints.
        ("/x", "http://ollama:11434/api/delete", ["DELETE"], '"to": "/api/delete"'),
        ("/x", "http://hearth-ollama:11434/api/pull", ["POST"], '"to": "/api/pull"'),
        ("/x/", "http://hearth-httpd:80/", ["GET"], "one of Hearth's containers"),
        ("/x/", "http://a..b:80/", ["GET"], "not a valid host name"),
        ("/x/", "http://10.0.0.1:5001/x", ["GET"], "end both in a slash"),
        ("/x", "http://10.0.0.1:5001/x/", ["GET"], "end both in a slash"),
    ],
)
def test_rejected(path: str, to: str, methods: list[str], instead: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(instead)):
        Route.model_validate({"path": path, "to": to, "methods": methods})


@pytest.mark.parametrize(
    ("path", "to", "prefix", "gateway"),
    [
        ("/flask/", "http://host.docker.internal:5001/", True, True),
        ("/flask/", "http://host.docker.internal:5001/api/v1/", True, True),
        ("/flask/ask", "http://10.0.0.7:5001/ask", False, False),
        ("/_internal/v1.0~x-y/", "http://backend.lan:8080/", True, False),
    ],
)
def test_backends(path: str, to: str, prefix: bool, gateway: bool) -> None:
    made = route(path, to, "GET", "POST")
    assert (made.is_ollama, made.is_prefix, made.host_gateway) == (False, prefix, gateway)


def test_an_unknown_key_is_rejected() -> None:
    data: dict[str, Any] = {"path": "/x", "to": "/api/chat", "methods": ["POST"], "method": "POST"}
    with pytest.raises(ValidationError, match="method"):
        Route.model_validate(data)


def test_duplicate_paths_are_rejected() -> None:
    with pytest.raises(ValueError, match="/x is listed twice"):
        check_table((route("/x"), route("/y"), route("/x", "/api/generate")))


@pytest.mark.parametrize("pair", [("/x", "/x/"), ("/x/", "/x")])
def test_a_path_with_and_without_a_slash_is_rejected(pair: tuple[str, str]) -> None:
    backends = tuple(route(path, f"http://10.0.0.1:1{path}") for path in pair)
    with pytest.raises(ValueError, match="with and without a trailing slash"):
        check_table(backends)


def test_nested_paths_are_different() -> None:
    check_table((route("/x"), route("/x/y"), route("/z/", "http://10.0.0.1:1/"), route("/z/z/", "http://10.0.0.1:1/")))
