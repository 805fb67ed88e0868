"""The route table: exact paths to Ollama's answers, and nothing that changes the host."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from hearth.routes import OLLAMA_ENDPOINTS, OLLAMA_MANAGEMENT, Route, check_table


def route(path: str, to: str = "/api/chat", *methods: str) -> Route:
    return Route.model_validate({"path": path, "to": to, "methods": methods or ("POST",)})


@pytest.mark.parametrize("endpoint", sorted(OLLAMA_ENDPOINTS))
def test_every_endpoint_can_be_routed_with_all_its_methods(endpoint: str) -> None:
    made = route("/some/path", endpoint, *OLLAMA_ENDPOINTS[endpoint])
    assert made.is_ollama
    assert not made.is_prefix


@pytest.mark.parametrize(
    "endpoint",
    [
        "/api/pull",
        "/api/push",
        "/api/create",
        "/api/copy",
        "/api/delete",
        "/api/blobs",
        "/api/blobs/sha256:0",
        "/api/me",
        "/api/signout",
        "/api/user/keys/x",
    ],
)
def test_management_is_refused_with_the_way_to_do_it(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="docker exec hearth-ollama ollama"):
        route("/x", endpoint)


def test_no_endpoint_is_management() -> None:
    assert not OLLAMA_MANAGEMENT & set(OLLAMA_ENDPOINTS)


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
