"""Access rules: each path matches exactly one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hearth.render.access_rules import find_access_rules
from hearth.settings.model import Settings

Make = Callable[..., Settings]
ANNA = {"anna": {"env": "HEARTH_ANNA"}}
BACKEND = "http://host.docker.internal:5001"


def test_an_open_host_has_no_rules(settings: Settings) -> None:
    assert find_access_rules(settings) == []


def test_every_route_matches_one_rule_if_there_are_any(make_settings: Make) -> None:
    extra = [
        {"path": "/a/", "to": f"{BACKEND}/a/", "methods": ["GET"]},
        {"path": "/a/open", "to": f"{BACKEND}/o", "methods": ["GET"], "access": "anyone"},
        {"path": "/a/b/", "to": f"{BACKEND}/b/", "methods": ["GET"], "access": "anyone"},
        {"path": "/a/b/c/", "to": f"{BACKEND}/c/", "methods": ["GET"]},
        {"path": "/a/b/c.d", "to": f"{BACKEND}/d", "methods": ["GET"]},
        {"path": "/api/blobs/", "to": "/api/blobs/", "methods": ["POST"]},
    ]
    settings = make_settings(proxy_access="users", proxy_users=ANNA, proxy_extra_routes=extra)
    blob = f"/api/blobs/sha256:{'0' * 64}"
    expected = {
        "/a/": ("users", "backend"),
        "/a/x/y": ("users", "backend"),
        "/a/opened": ("users", "backend"),
        "/a/open/x": ("users", "backend"),
        "/a/open": ("anyone", "backend"),
        "/a/b/": ("anyone", "backend"),
        "/a/b/x": ("anyone", "backend"),
        "/a/b/cxd": ("anyone", "backend"),
        "/a/b/c/x": ("users", "backend"),
        "/a/b/c.d": ("users", "backend"),
        "/api/tags": ("users", "ollama"),
        "/v1/models": ("users", "openai"),
        blob: ("users", "ollama"),
    }
    rules = find_access_rules(settings)
    for path, (words, form) in expected.items():
        found = [(access.users, access.anyone, form) for access, pattern, form in rules if re.match(pattern, path)]
        assert found == [(words == "users", words == "anyone", form)], path
    for path in ("/", "/chat.js", "/api/tagsx", "/api/blobs/x", f"{blob}/x", "/b"):
        assert not any(re.match(pattern, path) for _, pattern, _ in rules), path


@pytest.mark.parametrize("access", ["anyone", "users"])
def test_one_restricted_route_is_enough(make_settings: Make, access: str) -> None:
    route = {"path": "/x", "to": "/api/chat", "methods": ["POST"], "access": "users"}
    rules = find_access_rules(make_settings(proxy_access=access, proxy_users=ANNA, proxy_extra_routes=[route]))
    assert any(re.match(pattern, "/x") and policy.users for policy, pattern, _ in rules)
