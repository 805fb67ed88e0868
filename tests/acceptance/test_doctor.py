"""The doctor, run the way users run it, finds no problem on the deployed host, and reports what the host refuses."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hearth.settings.model import Settings
from tests.acceptance.api import CREDENTIALS
from tests.acceptance.conftest import Target
from tests.acceptance.test_proxy import FOREIGN, exact_origins

pytestmark = pytest.mark.needs("page")
ROOT = Path(__file__).resolve().parent.parent.parent


def doctor(url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON document, from a Python without installed packages."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    scheme, _, given = CREDENTIALS.get(urlsplit(url).netloc, {}).get("Authorization", "").partition(" ")
    if scheme == "Basic":
        user, _, environment["HEARTH_PASSWORD"] = base64.b64decode(given).decode().partition(":")
        arguments += ("--user", user)
    elif scheme:
        environment["HEARTH_KEY"] = given
    done = subprocess.run(
        [sys.executable, "-S", "-m", "hearth.doctor", url, "--json", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return done.returncode, document


def found(document: dict[str, Any]) -> list[str]:
    return [finding["id"] for finding in document["findings"] if finding["severity"] == "problem"]


def test_no_problem_is_found(target: Target, capabilities: dict[str, list[str]]) -> None:
    """Without choosing a model, as users do. A host with embedding models only has no prompt to check."""
    code, document = doctor(target.page, *target.trust, "--timeout", "20")
    assert (code, found(document)) == (0, []), document
    steps = {step["name"]: step for step in document["steps"]}
    assert {steps[name]["state"] for name in ("connection", "page", "own page", "version", "models")} == {"ok"}
    if any("completion" in can for can in capabilities.values()):
        assert steps["prompt"]["data"]["tokens"] > 0


def test_origins_are_reported_according_to_the_settings(target: Target, settings: Settings) -> None:
    code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--origin", FOREIGN)
    assert (code, found(document)) == (1, ["origin-not-listed"])
    for origin in exact_origins(settings):
        code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--origin", origin)
        expected = (
            ["mixed-content"]
            if origin.startswith("https:")
            and target.page.startswith("http:")
            and urlsplit(target.page).hostname != "127.0.0.1"
            else []
        )
        assert found(document) == expected, document


def test_a_missing_model(target: Target) -> None:
    code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--model", "no-such-model")
    assert (code, found(document)) == (1, ["model-missing"])


def test_the_wrong_scheme_is_detected(target: Target, settings: Settings) -> None:
    address, port = target.address_of(settings.proxy_port)
    scheme, expected = ("https", "https-to-http") if settings.proxy_tls == "off" else ("http", "http-to-https")
    code, document = doctor(f"{scheme}://{address}:{port}", "--timeout", "20")
    assert (code, found(document)) == (1, [expected])


def test_ollamas_own_port_is_identified(target: Target, settings: Settings) -> None:
    if not settings.ollama_publish or settings.ollama_publish.startswith("127."):
        pytest.skip("ollama_publish opens Ollama's port only on the host")
    if settings.ollama_allowed_networks:
        pytest.skip("the firewall opens Ollama's port to others only")
    address, port = target.address_of(int(settings.ollama_publish.rpartition(":")[2]))
    code, document = doctor(f"http://{address}:{port}", "--no-prompt", "--timeout", "20")
    assert code == 1
    assert "ollama-itself" in found(document)
