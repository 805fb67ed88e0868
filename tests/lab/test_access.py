"""Access control on a deployed host: valid credentials are accepted, and changes cause no outage."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hearth.paths import ROOT, SECRETS
from tests.acceptance.api import CREDENTIALS, Answer, basic, bearer, call, stream
from tests.lab.checks import deploy_twice
from tests.lab.machine import (
    HTTPD_IMAGE,
    NEXT_HTTPD,
    deploy,
    deployed_with,
    listed_on_guest,
    on_guest,
    pyinfra,
    url,
    wait_until,
)
from tests.lab.test_releases import build, decoded

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

R = "/api/ollama"
PROMPT = {"model": "tinyllama", "prompt": "hi", "stream": False}
ANNA, KEY, NEW_KEY = "the-password-of-anna", "nb-4f0c86d1a2b37e5f9c08", "nb-00a1f7d3c5e98b2460ff"
ACCESS, UP, RELEASE = (
    "Access | Install credentials",
    "Stack | Start the containers",
    "Release | Accept the release",
)
# The source address of all outside requests in the guest, in QEMU's user networking.
OUTSIDE = "10.0.2.2"
CONTAINERS = "sudo docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' hearth-ollama hearth-httpd"


class SecretFiles:
    """Credentials of users and API clients, in files on the deploying machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.settings = [
            'proxy_access="users or api_keys"',
            f"proxy_users={json.dumps({'anna': self.write('anna', ANNA)})}",
            f"proxy_api_keys={json.dumps({'notebook': self.write('notebook', KEY)})}",
        ]

    def write(self, name: str, secret: str) -> dict[str, str]:
        path = self._directory / name
        path.touch(0o600)
        path.write_text(f"{secret}\n")
        return {"file": str(path)}


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[SecretFiles]:
    """Requests of this test sign in as anna by default."""
    netloc = urlsplit(url()).netloc
    CREDENTIALS[netloc] = basic("anna", ANNA)
    yield SecretFiles(tmp_path)
    del CREDENTIALS[netloc]


ANONYMOUS = {"Authorization": ""}


def ask(headers: dict[str, str], path: str = "/api/tags") -> Answer:
    return call(url(), "GET", path, headers=headers)


def generations() -> int:
    """The number of prompts in Ollama's log."""
    return len(re.findall(r'POST +"/api/generate"', on_guest("sudo docker logs hearth-ollama 2>&1")))


def test_only_valid_credentials_are_accepted(keys: SecretFiles) -> None:
    first, _ = deploy_twice(*keys.settings)
    assert ACCESS in first.changed
    assert "anna is new" in first.output
    before = generations()
    for headers in (
        ANONYMOUS,
        basic("anna", "wrong"),
        basic("eve", ANNA),
        bearer(f"{KEY}x"),
        {"X-Forwarded-For": "127.0.0.1", **ANONYMOUS},
    ):
        page = ask(headers, "/")
        assert (page.status, page.all("www-authenticate")) == (401, ['Basic realm="Hearth"'])
        refused = call(url(), "POST", R, PROMPT, headers)
        assert (refused.status, refused.json()) == (
            401,
            {"error": "sign in, or send an API key (Authorization: Bearer KEY, or X-Api-Key: KEY)"},
        )
    assert generations() == before
    for headers in (basic("anna", ANNA), bearer(KEY)):
        assert ask(headers, "/").status == 200
        assert call(url(), "POST", R, PROMPT, headers, timeout=300).status == 200
    assert generations() == before + 2
    healthy = on_guest("sudo docker inspect -f '{{.State.Health.Status}}' hearth-httpd")
    assert healthy == "healthy", "the health check needs no password"


@pytest.mark.long
def test_changed_credentials_interrupt_no_response(keys: SecretFiles) -> None:
    deployed_with(*keys.settings)
    containers = on_guest(CONTAINERS)
    keys.write("anna", "another-password")
    password = deploy(*keys.settings)
    assert (password.code, password.changed) == (0, (ACCESS,)), password.output
    assert ask(basic("anna", ANNA)).status == 401
    assert ask(basic("anna", "another-password")).status == 200

    body = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 600, "num_thread": 1}}
    parts = urlsplit(url())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
    connection.request("POST", R, json.dumps(body), {"Content-Type": "application/json", **bearer(KEY)})
    answer = connection.getresponse()
    assert answer.readline()
    keys.write("notebook", NEW_KEY)
    key = deploy(*keys.settings)
    assert (key.code, key.changed) == (0, (ACCESS, UP)), key.output
    wait_until(lambda: ask(bearer(NEW_KEY)).status == 200, 30, "the new key is accepted")
    wait_until(lambda: ask(bearer(KEY)).status == 401, 30, "the old key is refused")
    assert json.loads(answer.readlines()[-1])["done"] is True
    assert on_guest(CONTAINERS) == containers, "no container was recreated or restarted"
    quiet = deploy(*keys.settings)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


@pytest.mark.long
def test_access_by_network_depends_on_the_source_address() -> None:
    near = ['proxy_access="networks"', f'proxy_allowed_networks=["{OUTSIDE}"]']
    deploy_twice(*near)
    assert on_guest("sudo ss -Hltn 'sport = :85'").count("[::]:85") == 0, "not over IPv6"
    far = deploy('proxy_access="networks"', 'proxy_allowed_networks=["192.168.77.0/24"]')
    assert far.code == 0, far.output
    for headers in ({}, {"X-Forwarded-For": "192.168.77.1"}, {"X-Real-IP": "192.168.77.1"}):
        assert call(url(), "GET", "/", headers=headers).status == 403
        answer = call(url(), "POST", R, PROMPT, headers)
        assert (answer.status, answer.json()) == (
            403,
            {"error": "address not allowed; add it to proxy_allowed_networks"},
        )
    quiet = deploy('proxy_access="networks"', 'proxy_allowed_networks=["192.168.77.0/24"]')
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


@pytest.mark.long
def test_model_management_requires_an_api_key(keys: SecretFiles) -> None:
    routes: list[dict[str, Any]] = [
        {"path": "/api/copy", "to": "/api/copy", "methods": ["POST"], "access": "api_keys"},
        {"path": "/api/delete", "to": "/api/delete", "methods": ["DELETE"], "access": "api_keys"},
    ]
    refused = deploy(f"proxy_extra_routes={json.dumps([routes[0] | {'access': 'anyone'}])}")
    assert refused.code != 0
    assert "/api/copy lets its callers change or fill this host" in refused.output
    deployed_with(*keys.settings, f"proxy_extra_routes={json.dumps(routes)}")
    copy = {"source": "tinyllama", "destination": "made-by-a-test"}
    for headers in (ANONYMOUS, basic("anna", ANNA), bearer("wrong")):
        assert call(url(), "POST", "/api/copy", copy, headers).status == 401
        assert call(url(), "DELETE", "/api/delete", {"model": "tinyllama"}, headers).status == 401
    assert call(url(), "POST", "/api/copy", copy, bearer(KEY)).status == 200
    assert call(url(), "DELETE", "/api/delete", {"model": "made-by-a-test"}, bearer(KEY)).status == 200
    models = {model["name"] for model in ask(bearer(KEY)).json()["models"]}
    assert "tinyllama:latest" in models
    assert "made-by-a-test:latest" not in models


@pytest.mark.long
def test_access_control_is_switched_off_and_rolled_back_to(keys: SecretFiles) -> None:
    """Secrets are kept as long as a release that needs them can be rolled back to."""
    deployed_with(*keys.settings)
    deploy_twice()
    assert ask(ANONYMOUS, "/").status == 200
    assert on_guest(f"sudo ls {SECRETS}/httpd").split() == ["people", "programs.conf"]
    back = pyinfra("deploys/rollback.py")
    assert back.code == 0, back.output
    assert ask(ANONYMOUS, "/").status == 401
    assert ask(basic("anna", ANNA), "/").status == 200
    deployed_with()
    assert ask(ANONYMOUS, "/").status == 200
    deployed_with('chat_title="Another"', "releases_kept=1")
    assert on_guest(f"sudo ls -d {SECRETS}", check=False) == ""
    assert ask(ANONYMOUS, "/").status == 200


@pytest.mark.long
def test_failed_release_leaves_access_unchanged(keys: SecretFiles) -> None:
    deployed_with(*keys.settings)
    script = "#!/bin/sh\necho no such luck >&2\nexit 3\n"
    build(NEXT_HTTPD, f"FROM {HTTPD_IMAGE}", f"RUN {decoded(script)} > /usr/local/bin/httpd-foreground")
    run = deploy(f'proxy_image="{NEXT_HTTPD}"')
    assert run.code != 0, run.output
    assert "is running again" in run.output, run.output
    assert ask(ANONYMOUS, "/").status == 401
    assert call(url(), "POST", R, PROMPT, timeout=300).status == 200


def test_invalid_password_changes_nothing(keys: SecretFiles) -> None:
    before = listed_on_guest(f"sudo find {ROOT} -type f -exec sha256sum {{}} +")
    keys.write("anna", "short")
    run = deploy(*keys.settings)
    assert run.code != 0
    assert "proxy_users[anna]: the file " in run.output
    assert "shorter than 8 characters" in run.output
    assert "Traceback" not in run.output
    assert listed_on_guest(f"sudo find {ROOT} -type f -exec sha256sum {{}} +") == before


@pytest.mark.long
def test_response_streams_to_a_user(keys: SecretFiles) -> None:
    deployed_with(*keys.settings)
    lines = stream(url(), R, {"model": "tinyllama", "prompt": "go"})
    assert json.loads(lines[-1].text)["done"] is True
    assert len(lines) > 3
