"""Code in the docs works: it is run unchanged, except for the address and the model."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from lab.models import TINYLLAMA_SENTENCE
from tests.acceptance.api import call
from tests.proxy.address import responds
from tests.proxy.conftest import Serve
from tests.proxy.credentials import KEY, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.support.documented import blocks

CALLING, FLASK, README = "docs/calling.md", "docs/flask.md", "README.md"
WITH_KEY = "With an API key or password"
CLIENTS = ("curl", "Python, standard library only", "OpenAI's client", "Ollama's client", "A page on another origin")


@pytest.fixture(scope="module")
def web(serve_module: Serve, ollama: Ollama) -> Httpd:
    return serve_module(upstream=ollama.address)


@pytest.fixture(scope="module")
def keyed(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Httpd:
    secrets = write_files(tmp_path_factory.mktemp("secrets") / "httpd")
    return serve_module(upstream=ollama.address, volumes={MOUNT: secrets}, **SETTINGS, proxy_access="users or api_keys")


def adapted(code: str, web: Httpd) -> str:
    assert "http://pi:85" in code, code
    return code.replace("http://pi:85", web.url).replace("llama3.2:1b", "tinyllama")


def run(*words: str, code: str = "", **environment: str) -> str:
    """The output of a program, which must succeed."""
    done = subprocess.run(
        words, input=code, capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, f"{code or words}\n{done.stdout}{done.stderr}"
    return done.stdout


def sh(code: str, **environment: str) -> str:
    return run("sh", "-e", code=code, **environment)


def python(code: str, **environment: str) -> str:
    return run(sys.executable, "-", code=code, **environment)


def javascript(code: str) -> str:
    """Runs in Playwright's Node."""
    return run(str(compute_driver_executable()[0]), "--input-type=module", "-", code=code)


def words(stream: str) -> str:
    """The reply in Ollama's stream."""
    lines = stream.replace("}{", "}\n{").splitlines()
    return "".join(
        str(ast.literal_eval(line.split('"response":')[1].split(',"done"')[0]))
        for line in lines
        if '"response":' in line
    )


@pytest.mark.parametrize("page", [CALLING, README])
def test_curl(web: Httpd, page: str) -> None:
    code = next(block for block in blocks(page, "sh") if "api/ollama" in block and "OPTIONS" not in block)
    output = sh(adapted(code, web))
    assert words(output).strip() == TINYLLAMA_SENTENCE
    assert page == README or '"name":"tinyllama:latest"' in output


@pytest.mark.parametrize("client", CLIENTS[1:4])
def test_python(web: Httpd, client: str) -> None:
    (code,) = blocks(CALLING, "python", client)
    assert python(adapted(code, web)).strip() == TINYLLAMA_SENTENCE


def test_browser_code(web: Httpd) -> None:
    """Only the code; a browser test covers the browser's rules."""
    (code,) = blocks(CALLING, "js")
    assert javascript(adapted(code, web)).strip() == TINYLLAMA_SENTENCE


def test_api_key(keyed: Httpd) -> None:
    assert call(keyed.url, "GET", "/api/tags").status == 401
    (shell,) = blocks(CALLING, "sh", WITH_KEY)
    assert "tinyllama:latest" in sh(adapted(shell, keyed), HEARTH_KEY=KEY)
    (code,) = blocks(CALLING, "python", WITH_KEY)
    output = python(
        adapted(code, keyed).replace("models = ollama", "print([one.id for one in models])\nmodels = ollama")
        + "print(models)",
        HEARTH_KEY=KEY,
    )
    assert output.count("tinyllama:latest") > 1


def test_documented_paths_exist(web: Httpd) -> None:
    table = (Path(__file__).resolve().parents[2] / CALLING).read_text().split("\n\n")[1]
    documented = {path.strip("`") for row in table.splitlines()[2:] for path in row.split("|")[1].strip().split(", ")}
    assert documented == {route.path for route in web.settings.proxy_routes}


# --- A Flask backend ------------------------------------------------------------------------------


def flask_routes() -> list[dict[str, Any]]:
    """The route in the page's inventory example."""
    settings: dict[str, list[dict[str, Any]]] = ast.literal_eval("{" + blocks(FLASK, "python")[0] + "}")
    return settings["proxy_extra_routes"]


@contextmanager
def backend(address: str, ollama: Ollama, directory: Path) -> Iterator[None]:
    """The page's Flask program, on a loopback address."""
    code = blocks(FLASK, "python")[1]
    for old, new in (
        ("http://127.0.0.1:11434", ollama.url),
        ('"0.0.0.0"', f'"{address}"'),
        ("llama3.2:1b", "tinyllama"),
    ):
        assert old in code
        code = code.replace(old, new)
    (directory / "app.py").write_text(code)
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=directory, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 30
            while not responds(address, 5001):
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < until, "Flask does not respond"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_flask_backend(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    web = serve(upstream=ollama.address, proxy_extra_routes=flask_routes())
    assert call(web.url, "GET", "/flask/health").status == 503  # not started yet, which affects nothing else
    assert call(web.url, "GET", "/api/version").status == 200
    with backend(web.address, ollama, tmp_path):
        answer = call(web.url, "GET", "/flask/health")
        assert (answer.status, answer.json()) == (200, {"ok": True})
        assert call(f"http://{web.address}:5001", "GET", "/health").json() == {"ok": True}
        assert call(web.url, "DELETE", "/flask/health").status == 405
        (code,) = blocks(FLASK, "sh")
        assert sh(adapted(code, web)).strip() == TINYLLAMA_SENTENCE
