"""The official, unchanged client libraries of OpenAI and Ollama, with an API key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import ollama as ollama_library
import openai
import pytest

from lab import artefacts
from lab.models import TEMPLATE, TINYLLAMA_SENTENCE
from tests.acceptance.api import basic, bearer
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, KEY, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama

MANAGED = [
    {"path": path, "to": path, "methods": methods, "access": "api_keys"}
    for path, methods in (
        ("/api/copy", ["POST"]),
        ("/api/create", ["POST"]),
        ("/api/delete", ["DELETE"]),
        ("/api/pull", ["POST"]),
        ("/api/blobs/", ["HEAD", "POST"]),
    )
]
MORE = [
    {"path": path, "to": path, "methods": ["POST"]} for path in ("/api/generate", "/v1/completions", "/v1/responses")
]
MESSAGES = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture(scope="module")
def web(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Httpd:
    secrets = write_files(tmp_path_factory.mktemp("secrets") / "httpd")
    values = {**SETTINGS, "proxy_access": "users or api_keys", "proxy_extra_routes": [*MANAGED, *MORE]}
    return serve_module(upstream=ollama.address, volumes={MOUNT: secrets}, **values)


def open_ai(web: Httpd, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{web.url}/v1", api_key=key, max_retries=0)


def client(web: Httpd, headers: dict[str, str]) -> ollama_library.Client:
    return ollama_library.Client(host=web.url, headers=headers)


def test_openai_client_streams(web: Httpd) -> None:
    stream = open_ai(web, KEY).chat.completions.create(
        model="tinyllama", messages=[{"role": "user", "content": "Who are you?"}], stream=True
    )
    words = [part.choices[0].delta.content or "" for part in stream if part.choices]
    assert "".join(words).strip() == TINYLLAMA_SENTENCE
    assert len(words) > 3


def test_openai_client_lists_models_and_gets_complete_responses(web: Httpd) -> None:
    library = open_ai(web, KEY)
    assert {"tinyllama:latest", "tinystory:latest"} <= {model.id for model in library.models.list()}
    whole = library.chat.completions.create(model="tinyllama", messages=[{"role": "user", "content": "Who are you?"}])
    assert (whole.choices[0].message.content or "").strip() == TINYLLAMA_SENTENCE
    assert library.completions.create(model="tinyllama", prompt="hi").choices[0].text.strip() == TINYLLAMA_SENTENCE
    assert library.responses.create(model="tinyllama", input="hi").output_text.strip() == TINYLLAMA_SENTENCE


@pytest.mark.parametrize("key", ["none", f"{KEY}x", ANNA])
def test_openai_client_reports_missing_credentials(web: Httpd, ollama: Ollama, key: str) -> None:
    before = ollama.requests()
    with pytest.raises(openai.AuthenticationError, match="sign in, or send an API key"):
        open_ai(web, key).models.list()
    with pytest.raises(openai.AuthenticationError):
        open_ai(web, key).chat.completions.create(model="tinyllama", messages=[{"role": "user", "content": "x"}])
    assert ollama.requests() == before


@pytest.mark.parametrize("headers", [bearer(KEY), basic("anna", ANNA)])
def test_ollama_client_chats_and_generates(web: Httpd, headers: dict[str, str]) -> None:
    library = client(web, headers)
    assert "tinyllama:latest" in {model.model for model in library.list().models}
    parts = [part.message.content or "" for part in library.chat("tinyllama", MESSAGES, stream=True)]
    assert "".join(parts).strip() == TINYLLAMA_SENTENCE
    assert len(parts) > 3
    assert (library.chat("tinyllama", MESSAGES).message.content or "").strip() == TINYLLAMA_SENTENCE
    assert (library.generate("tinyllama", "hi").response or "").strip() == TINYLLAMA_SENTENCE
    assert library.show("tinyllama").template == TEMPLATE


def test_ollama_client_reads_its_key_from_the_environment(web: Httpd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    assert ollama_library.Client(host=web.url).list().models


@pytest.mark.parametrize("headers", [{}, bearer(f"{KEY}x"), basic("anna", "wrong")])
def test_ollama_client_reports_missing_credentials(web: Httpd, ollama: Ollama, headers: dict[str, str]) -> None:
    before = ollama.requests()
    for ask in (lambda: client(web, headers).list(), lambda: client(web, headers).chat("tinyllama", MESSAGES)):
        with pytest.raises(ollama_library.ResponseError, match="sign in, or send an API key") as caught:
            ask()
        assert caught.value.status_code == 401
    assert ollama.requests() == before


# --- Management -----------------------------------------------------------------------------------


@pytest.fixture
def manager(web: Httpd) -> Iterator[ollama_library.Client]:
    library = client(web, bearer(KEY))
    yield library
    for model in library.list().models:
        if (model.model or "").startswith("made-by-a-test"):
            library.delete(model.model or "")


def test_api_key_allows_model_management(manager: ollama_library.Client) -> None:
    manager.copy("tinyllama", "made-by-a-test:copy")
    assert manager.chat("made-by-a-test:copy", MESSAGES).message.content
    manager.delete("made-by-a-test:copy")
    assert "made-by-a-test:copy" not in {model.model for model in manager.list().models}


def test_large_model_file_is_uploaded(manager: ollama_library.Client, parts: artefacts.Paths, tmp_path: Path) -> None:
    """In chunks and without a length, as the library sends it; other routes refuse both."""
    content = (parts["models"] / "tinyllama.gguf").read_bytes() + b"\0" * 40_000_000
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    digest = manager.create_blob(str(path))
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    manager.create("made-by-a-test:upload", files={"model.gguf": digest}, template=TEMPLATE)
    assert manager.chat("made-by-a-test:upload", MESSAGES).message.content


def test_failed_pull_is_reported_with_ollamas_message(manager: ollama_library.Client) -> None:
    with pytest.raises(ollama_library.ResponseError) as caught:
        manager.pull("127.0.0.1:1/no/such", insecure=True)
    assert caught.value.status_code in (-1, 500), caught.value
    assert "sign in" not in str(caught.value)


@pytest.mark.parametrize("headers", [{}, basic("anna", ANNA), bearer(f"{KEY}x")])
def test_model_management_is_refused_without_a_key(
    web: Httpd, ollama: Ollama, headers: dict[str, str], tmp_path: Path
) -> None:
    before = ollama.requests()
    library = client(web, headers)
    (tmp_path / "x").write_bytes(b"x" * 1000)
    for attempt in (
        lambda: library.copy("tinyllama", "made-by-a-test:no"),
        lambda: library.delete("tinyllama"),
        lambda: library.pull("tinyllama"),
        lambda: library.create("made-by-a-test:no", from_="tinyllama"),
        lambda: library.create_blob(str(tmp_path / "x")),
    ):
        with pytest.raises(ollama_library.ResponseError, match="send an API key") as caught:
            attempt()
        assert caught.value.status_code == 401
    assert ollama.requests() == before
