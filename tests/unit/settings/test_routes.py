"""The route table: exact paths to Ollama's answers, and nothing that changes the host."""

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
    made = route("/some/path", endpoint, *OLLAMA_ENDPOINTS[endpoint])
    assert made.is_ollama
    assert not made.is_prefix


@pytest.mark.parametrize("endpoint", sorted(OLLAMA_MANAGEMENT))
def test_management_can_be_routed_and_is_known_as_such(endpoint: str) -> None:
    made = route("/some/path/" if endpoint.endswith("/") else "/some/path", endpoint, *OLLAMA_MANAGEMENT[endpoint])
    assert made.is_management
    assert made.is_upload == (endpoint == "/api/blobs/")


@pytest.mark.parametrize("endpoint", ["/api/me", "/api/signout", "/api/user/keys/x", "/api/user"])
def test_the_hosts_account_is_never_routed(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="account"):
        route("/x", endpoint)


def test_no_endpoint_is_management() -> None:
    assert not OLLAMA_MANAGEMENT.keys() & OLLAMA_ENDPOINTS.keys()


def test_an_upload_takes_names_of_files_of_models_and_nothing_else() -> None:
    pattern = re.compile(route("/api/blobs/", "/api/blobs/", "POST").pattern)
    assert pattern.fullmatch(f"/api/blobs/sha256:{'0' * 64}")
    assert not any(
        pattern.fullmatch(f"/api/blobs/{name}")
        for name in ("", "x", "sha256:0", f"sha256-{'0' * 64}", f"sha256:{'0' * 64}/x")
    )


@pytest.mark.parametrize("access", ["anyone", "users", "networks and (users or api_keys)", ""])
def test_who_may_call_stands_in_the_route(access: str) -> None:
    written = {"path": "/x", "to": "/api/chat", "methods": ["POST"]} | ({"access": access} if access else {})
    made = Route.model_validate(written)
    assert made.access == access
    assert made.model_dump(mode="json") == written, "and goes into records as it was written"


@pytest.mark.parametrize(
    ("path", "to", "methods", "right"),
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
        ("/x", "/api/", ["POST"], "one of /api/generate"),
        ("/x", "/api/experimental/web_search", ["POST"], "Ollama has no"),
        ("/x", "/API/chat", ["POST"], "Ollama has no"),
        ("/x/", "/api/chat", ["POST"], 'write "/x"'),
        ("/x", "/api/chat", ["GET"], "['POST'] would be right"),
        ("/x", "/api/tags", ["GET", "DELETE"], "['GET', 'HEAD'] would be right"),
        ("/x", "/api/chat", [], "name the methods"),
        ("/x", "/api/chat", ["OPTIONS"], "'GET', 'HEAD', 'POST'"),
        ("/x", "/api/chat", ["post"], "'GET', 'HEAD', 'POST'"),
        ("/x/", "host.docker.internal:5001/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "https://10.0.0.1:5001/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "http://10.0.0.1/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", 'http://10.0.0.1:5001/" x "/', ["GET"], "http://host.docker.internal:5001/"),
        ("/x/", "http://10.0.0.1:5001/a?b=1/", ["GET"], "http://host.docker.internal:5001/"),
        ("/x", "/api/blobs/", ["POST"], 'write "/x/"'),
        ("/x/", "/api/blobs", ["POST"], '"/api/blobs/" would be right'),
        ("/x", "/api/blobs/sha256:0", ["POST"], '"/api/blobs/" would be right'),
        ("/x", "/api/delete", ["POST"], "['DELETE'] would be right"),
        ("/x/", "http://localhost:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://127.0.0.1:80/", ["GET"], "http://host.docker.internal:"),
        # Resolvers take them for the machine itself as well.
        ("/x/", "http://0:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://0.0.0.0:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://127.1:80/", ["GET"], "http://host.docker.internal:"),
        ("/x/", "http://2130706433:80/", ["GET"], "http://host.docker.internal:"),
        # Around what is refused of Ollama's own paths.
        ("/x", "http://ollama:11434/api/delete", ["DELETE"], '"to": "/api/delete"'),
        ("/x", "http://hearth-ollama:11434/api/pull", ["POST"], '"to": "/api/pull"'),
        ("/x/", "http://hearth-httpd:80/", ["GET"], "container of Hearth itself"),
        ("/x/", "http://a..b:80/", ["GET"], "no host name"),
        ("/x/", "http://10.0.0.1:5001/x", ["GET"], "both end in a slash"),
        ("/x", "http://10.0.0.1:5001/x/", ["GET"], "both end in a slash"),
    ],
)
def test_refused_with_what_would_be_right(path: str, to: str, methods: list[str], right: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(right)):
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


def test_an_unknown_key_is_refused() -> None:
    data: dict[str, Any] = {"path": "/x", "to": "/api/chat", "methods": ["POST"], "method": "POST"}
    with pytest.raises(ValidationError, match="method"):
        Route.model_validate(data)


def test_a_path_stands_once() -> None:
    with pytest.raises(ValueError, match="/x stands twice"):
        check_table((route("/x"), route("/y"), route("/x", "/api/generate")))


@pytest.mark.parametrize("pair", [("/x", "/x/"), ("/x/", "/x")])
def test_a_path_stands_with_or_without_its_slash(pair: tuple[str, str]) -> None:
    backends = tuple(route(path, f"http://10.0.0.1:1{path}") for path in pair)
    with pytest.raises(ValueError, match="with and without a slash"):
        check_table(backends)


def test_paths_below_one_another_are_different() -> None:
    check_table((route("/x"), route("/x/y"), route("/z/", "http://10.0.0.1:1/"), route("/z/z/", "http://10.0.0.1:1/")))
