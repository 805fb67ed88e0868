"""Client libraries of Python and JavaScript, unmodified: the routes that docs/calling.md lists, and what they print.

Each library runs in a process of its own (`libraries/run.py`, `libraries/run.mjs`), one call after another.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hearth.settings.routes import OLLAMA_ENDPOINTS
from lab import artefacts, client_libraries
from lab.models import EMBEDDING, EMBEDDING_WIDTH, TEMPLATE, TINYLLAMA_SENTENCE
from lab.progress import Stages
from tests.proxy.conftest import Serve
from tests.proxy.credentials import KEY, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama

PROGRAMS = Path(__file__).parent / "libraries"
CALLING = Path(__file__).resolve().parents[2] / "docs/calling.md"
_OPENAI, _OLLAMA = ("chat", "models", "model", "embed"), ("chat", "list", "show", "generate", "embed", "ps")
# (Language, library) → the name of its row in docs/calling.md, and its actions.
LIBRARIES = {
    ("python", "openai"): ("openai", _OPENAI),
    ("python", "ollama"): ("ollama", _OLLAMA),
    ("python", "langchain_ollama"): ("LangChain, `ChatOllama`", ("chat", "embed")),
    ("python", "langchain_openai"): ("LangChain, `ChatOpenAI`", ("chat", "embed")),
    ("python", "llama_index"): ("llama-index, `Ollama`", ("chat", "complete", "embed")),
    ("python", "anthropic"): ("anthropic", ("messages",)),
    ("javascript", "openai"): ("openai", _OPENAI),
    ("javascript", "ollama"): ("ollama", _OLLAMA),
    ("javascript", "langchain_ollama"): ("LangChain, `ChatOllama`", ("chat", "embed")),
    ("javascript", "langchain_openai"): ("LangChain, `ChatOpenAI`", ("chat", "embed")),
    ("javascript", "ai_sdk"): ("AI SDK, `createOpenAICompatible`", ("chat", "embed")),
    ("javascript", "anthropic"): ("anthropic", ("messages",)),
}
EXPECTED = {
    **dict.fromkeys(("chat", "complete", "generate", "messages"), TINYLLAMA_SENTENCE),
    **dict.fromkeys(("models", "list", "ps", "model"), "tinyllama"),
    "show": TEMPLATE.strip(),
    "embed": str(EMBEDDING_WIDTH),
}
every_library = pytest.mark.parametrize(("language", "library"), LIBRARIES)
# What a library sends is answered by a route for something else, which allows GET only.
WRONG_METHOD = [
    {"path": path, "to": to, "methods": ["GET"]}
    for path, to in (
        ("/v1/chat/completions", "/v1/models"),
        ("/v1/messages", "/v1/models"),
        ("/api/chat", "/api/version"),
        ("/api/show", "/api/version"),
    )
]


@pytest.fixture(scope="module")
def environment() -> Path:
    with Stages() as stages:
        return artefacts.build(("libraries",), stages)["libraries"]


@pytest.fixture(scope="module")
def server(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    directory = tmp_path_factory.mktemp("ollama")
    with Ollama(parts["roots"] / "ollama", directory, parts["models"], names=("tinyllama", EMBEDDING)) as running:
        yield running


def run(environment: Path, language: str, library: str, calls: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The results of a library's calls, see `run.py`."""
    words = [client_libraries.python_of(environment), PROGRAMS / "run.py", library]
    if language == "javascript":
        words = [client_libraries.node_of(environment), PROGRAMS / "run.mjs", library]
    done = subprocess.run(
        [str(word) for word in words],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"LIBRARIES": str(environment)},
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, str]] = json.loads(done.stdout)
    assert len(results) == len(calls)
    return results


def call(web: Httpd, action: str, key: str = "none", **headers: str) -> dict[str, Any]:
    return {"action": action, "url": web.url, "key": key, "headers": headers}


@cache
def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The table "Clients and the routes they call": client → the default routes it calls, and those to add."""
    section = CALLING.read_text().split("## Clients and the routes they call\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: (set(re.findall(r"`(/[^`]+)`", row[2])), set(re.findall(r"`(/[^`]+)`", row[3]))) for row in rows}


def to_add(paths: set[str]) -> list[dict[str, Any]]:
    return [{"path": path, "to": path, "methods": sorted(OLLAMA_ENDPOINTS[path])} for path in sorted(paths)]


def test_documented_clients_are_those_tested() -> None:
    assert documented().keys() == {row for row, _ in LIBRARIES.values()}


@every_library
def test_library_works_with_the_documented_routes(
    serve: Serve, server: Ollama, environment: Path, language: str, library: str
) -> None:
    row, actions = LIBRARIES[language, library]
    default, more = documented()[row]
    web = serve(upstream=server.address, proxy_extra_routes=to_add(more))
    assert default <= {route.path for route in web.settings.proxy_routes}
    results = run(environment, language, library, [call(web, action) for action in actions])
    for action, result in zip(actions, results, strict=True):
        assert EXPECTED[action] in result.get("text", ""), (action, result)
    asked = set(re.findall(r'"[A-Z]+ (/[^ ?"]*)[^"]*" \d', web.log()))
    assert {re.sub(r"(/v1/models/).+", r"\1{model}", path) for path in asked} == default | more


@every_library
def test_library_shows_what_is_wrong(
    serve: Serve, server: Ollama, environment: Path, language: str, library: str
) -> None:
    """A missing route, a refused origin and a wrong method, in what each library prints."""
    row, actions = LIBRARIES[language, library]
    _, more = documented()[row]
    web, without = serve(upstream=server.address, proxy_extra_routes=to_add(more)), serve(proxy_routes=[])
    other = serve(upstream=server.address, proxy_routes=WRONG_METHOD)
    before = server.requests()
    calls = [
        *(call(without, action) for action in actions),
        *(call(web, action, Origin="http://evil.example") for action in actions),
        call(other, actions[0]),
    ]
    expected = [
        *["no route here; docs/calling.md lists the paths, and proxy_extra_routes adds others"] * len(actions),
        *["origin not allowed; add it to allowed_origins"] * len(actions),
        "method not allowed; use GET",
    ]
    for one, text, result in zip(calls, expected, run(environment, language, library, calls), strict=True):
        assert text in result.get("error", ""), (one, result)
    assert server.requests() == before


@every_library
def test_library_signs_in_with_an_api_key(
    serve: Serve, server: Ollama, environment: Path, tmp_path: Path, language: str, library: str
) -> None:
    """Anthropic's sends it as X-Api-Key, the others as Authorization."""
    row, actions = LIBRARIES[language, library]
    _, more = documented()[row]
    web = serve(
        upstream=server.address,
        volumes={MOUNT: write_files(tmp_path / "httpd")},
        **SETTINGS,
        proxy_access="users or api_keys",
        proxy_extra_routes=to_add(more),
    )
    right, wrong = run(environment, language, library, [call(web, actions[0], key) for key in (KEY, f"{KEY}x")])
    assert EXPECTED[actions[0]] in right.get("text", ""), right
    assert "send an API key" in wrong.get("error", ""), wrong
