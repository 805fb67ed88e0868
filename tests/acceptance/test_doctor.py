"""The doctor, run as its users run it, finds the deployed host well, and names what is asked of it in vain."""

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

ROOT = Path(__file__).resolve().parent.parent.parent


def doctor(url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document, from a Python that has nothing installed."""
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


def test_the_host_is_well(target: Target, able: dict[str, list[str]]) -> None:
    """As its users ask: without saying which model. With models for embeddings alone there is no prompt to look at."""
    code, document = doctor(target.page, *target.trust, "--timeout", "20")
    assert (code, found(document)) == (0, []), document
    steps = {step["name"]: step for step in document["steps"]}
    assert {steps[name]["state"] for name in ("connection", "page", "own page", "version", "models")} == {"ok"}
    if any("completion" in can for can in able.values()):
        assert steps["prompt"]["data"]["tokens"] > 0


def test_origins_are_judged_as_the_settings_have_them(target: Target, settings: Settings) -> None:
    code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--origin", FOREIGN)
    assert (code, found(document)) == (1, ["origin-not-listed"])
    for origin in exact_origins(settings):
        code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--origin", origin)
        wanted = (
            ["mixed-content"]
            if origin.startswith("https:")
            and target.page.startswith("http:")
            and urlsplit(target.page).hostname != "127.0.0.1"
            else []
        )
        assert found(document) == wanted, document


def test_a_model_that_is_not_there(target: Target) -> None:
    code, document = doctor(target.page, *target.trust, "--no-prompt", "--timeout", "20", "--model", "no-such-model")
    assert (code, found(document)) == (1, ["model-missing"])


def test_the_other_scheme_is_told_from_the_right_one(target: Target, settings: Settings) -> None:
    address, port = target.address_of(settings.proxy_port)
    scheme, wanted = ("https", "https-to-http") if settings.proxy_tls == "off" else ("http", "http-to-https")
    code, document = doctor(f"{scheme}://{address}:{port}", "--timeout", "20")
    assert (code, found(document)) == (1, [wanted])


def test_ollamas_own_port_is_known_for_what_it_is(target: Target, settings: Settings) -> None:
    if not settings.ollama_publish or settings.ollama_publish.startswith("127."):
        pytest.skip("ollama_publish opens Ollama's port to the host alone")
    address, port = target.address_of(int(settings.ollama_publish.rpartition(":")[2]))
    code, document = doctor(f"http://{address}:{port}", "--no-prompt", "--timeout", "20")
    assert code == 1
    assert "ollama-itself" in found(document)
