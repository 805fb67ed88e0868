"""Origins of apps and extensions: httpd admits each that is listed, and Ollama gets those that it can start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.settings.origins import check_origin, ollama_origins
from lab import artefacts
from tests.acceptance.api import Answer, call
from tests.proxy.conftest import Serve
from tests.proxy.ollama import Ollama

APPS = (
    "app://obsidian.md",
    "capacitor://localhost",
    "capacitor-electron://-",
    f"chrome-extension://{'abcdefghijklmnop' * 2}",
    "ionic://localhost",
    "moz-extension://0f1e2d3c-0a1b-4c2d-8e3f-00112233aabb",
    "safari-web-extension://0F1E2D3C-0A1B-4C2D-8E3F-00112233AABB",
    "tauri://localhost",
    "vscode-file://vscode-app",
    "vscode-webview://1a2b3c4d5e",
)
# Those of Ollama's own list; each of its entries ends in "*".
ALWAYS = ("app://", "tauri://", "vscode-webview://", "vscode-file://")
LEFT_OUT = [origin for origin in APPS if not ollama_origins((origin,))]


def asked(url: str, origin: str, method: str = "GET", path: str = "/api/version") -> Answer:
    return call(url, method, path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})


@pytest.fixture
def own_ollama(parts: artefacts.Paths, tmp_path: Path) -> Ollama:
    """An Ollama with every app's origin in its settings, as a deploy would start it."""
    return Ollama(
        parts["roots"] / "ollama",
        tmp_path,
        parts["models"],
        names=(),
        environment={"OLLAMA_ORIGINS": ollama_origins(APPS)},
    )


def test_listed_apps_reach_ollama_through_the_proxy(serve: Serve, own_ollama: Ollama) -> None:
    with own_ollama as server:
        web = serve(upstream=server.address, allowed_origins=list(APPS))
        for origin in APPS:
            answer = asked(web.url, origin)
            assert (answer.status, answer.all("access-control-allow-origin")) == (200, [origin])
            assert asked(web.url, origin, "OPTIONS", "/api/chat").all("access-control-allow-origin") == [origin]
            for changed in (
                f"{origin}x",
                f"{origin}/",
                origin.upper(),
                f"x{origin}",
                origin.partition("://")[0] + "://",
            ):
                if changed not in APPS:
                    assert asked(web.url, changed).status == 403, changed


def test_apps_that_are_not_listed_are_refused(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address)
    assert {asked(web.url, origin).status for origin in APPS} == {403}


def test_ollama_starts_with_the_list_and_admits_nobody_else(own_ollama: Ollama) -> None:
    with own_ollama as server:
        for origin in APPS:
            is_admitted = bool(ollama_origins((origin,))) or origin.startswith(ALWAYS)
            assert (asked(server.url, origin).status == 200) == is_admitted, origin
        for other in ("http://evil.example", f"chrome-extension://{'ponmlkjihgfedcba' * 2}", "capacitor://evil"):
            assert asked(server.url, other).status == 403, other


@pytest.mark.parametrize("origin", LEFT_OUT)
def test_ollama_does_not_start_with_those_left_out(parts: artefacts.Paths, tmp_path: Path, origin: str) -> None:
    """The reason to leave them out; once it starts, add the scheme to the list."""
    assert check_origin(origin) == origin
    server = Ollama(
        parts["roots"] / "ollama", tmp_path, parts["models"], names=(), environment={"OLLAMA_ORIGINS": origin}
    )
    with pytest.raises(RuntimeError, match="bad origin"), server:
        pass


def test_allowed_request_headers_include_ollamas_own(serve: Serve, own_ollama: Ollama) -> None:
    """Its answer to a CORS preflight; and what OpenAI's and Anthropic's libraries and tracing add."""
    listed = APPS[3]
    with own_ollama as server:
        web = serve(upstream=server.address, allowed_origins=[listed])
        theirs, ours = (
            set(asked(url, listed, "OPTIONS", "/api/chat").all("access-control-allow-headers")[0].lower().split(","))
            for url in (server.url, web.url)
        )
    ours = {name.strip() for name in ours}
    assert {"authorization", "x-stainless-lang"} <= theirs
    assert theirs <= ours
    more = {"openai-organization", "openai-project", "x-api-key", "anthropic-version", "anthropic-beta"}
    more |= {"anthropic-dangerous-direct-browser-access", "traceparent", "tracestate", "sentry-trace", "baggage"}
    assert ours - theirs == more | {"x-stainless-helper"}
