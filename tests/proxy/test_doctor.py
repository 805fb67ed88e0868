"""The doctor and a host with an access policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.api import basic, bearer
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, KEY, MOUNT, SETTINGS, write_files
from tests.proxy.diagnosed import causes
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.support.shipped import PROJECT

GUARDED = {**SETTINGS, "proxy_access": "users or api_keys"}


@pytest.fixture(scope="module")
def web(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Httpd:
    secrets = write_files(tmp_path_factory.mktemp("secrets") / "httpd")
    return serve_module(upstream=ollama.address, volumes={MOUNT: secrets}, **GUARDED)


@pytest.mark.parametrize("headers", [basic("anna", ANNA), bearer(KEY)])
def test_no_problem_is_found_with_valid_credentials(web: Httpd, headers: dict[str, str]) -> None:
    assert causes(web.url, authorization=headers["Authorization"]) == []


@pytest.mark.parametrize("headers", [{}, basic("anna", "wrong"), bearer("wrong")])
def test_missing_or_wrong_credentials_are_reported_as_sign_in(web: Httpd, headers: dict[str, str]) -> None:
    assert causes(web.url, authorization=headers.get("Authorization", "")) == ["sign-in"]


def test_an_unlisted_network_is_the_cause(serve: Serve) -> None:
    web = serve(proxy_access="networks", proxy_allowed_networks=["192.168.1.0/24"])
    assert causes(web.url) == ["address-not-listed"]


def test_a_protected_route_behind_an_open_page(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    routes = [
        {"path": "/api/ollama", "to": "/api/generate", "methods": ["POST"], "access": "users"},
        {"path": "/api/version", "to": "/api/version", "methods": ["GET"], "access": "api_keys"},
    ]
    secrets = write_files(tmp_path / "secrets")
    web = serve(upstream=ollama.address, volumes={MOUNT: secrets}, proxy_routes=routes, **SETTINGS)
    assert causes(web.url) == ["sign-in"]


@pytest.mark.parametrize("variable", ["HEARTH_KEY", "HEARTH_PASSWORD"])
def test_keys_and_passwords_are_read_from_the_environment(web: Httpd, variable: str) -> None:
    arguments = ["--user", "anna"] if variable == "HEARTH_PASSWORD" else []
    done = subprocess.run(
        [sys.executable, "-m", "hearth.doctor", web.url, "--no-prompt", "--json", *arguments],
        cwd=PROJECT,
        env=os.environ | {variable: KEY if variable == "HEARTH_KEY" else ANNA},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["findings"] == []
    assert KEY not in done.stdout
    assert ANNA not in done.stdout
