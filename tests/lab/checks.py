"""The end of every scenario: the next deploy succeeds and the host works; the one after that changes nothing."""

from __future__ import annotations

import json

import lab
from hearth.settings.model_names import full_name
from tests.acceptance.api import call, stream
from tests.lab.machine import INVENTORY, Run, deploy, on_guest, url

PROMPT_PATH = "/api/ollama"


def serves(models: tuple[str, ...] = ("tinyllama",)) -> None:
    """The page loads, the models are listed, and each answers a prompt."""
    page = call(url(), "GET", "/")
    assert page.status == 200, page
    assert b"<title>" in page.body
    tags = call(url(), "GET", "/api/tags")
    assert tags.status == 200, tags
    listed = {model["name"] for model in tags.json()["models"]}
    assert {full_name(model) for model in models} <= listed, listed
    for model in models:
        lines = stream(url(), PROMPT_PATH, {"model": model, "prompt": "go", "options": {"num_predict": 8}})
        last = json.loads(lines[-1].text)
        assert last.get("done") is True, (model, last)


def deploy_twice(*data: str) -> tuple[Run, Run]:
    """Deploy: it succeeds, and the host works. Deploy again: nothing is changed. Returns both runs."""
    repair = deploy(*data)
    assert repair.code == 0, repair.output
    serves(tuple(lab.status().models))
    quiet = deploy(*data)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(
        f"\n  deployed again in {repair.seconds:.1f} s ({len(repair.changed)} operations changed something: "
        f"{', '.join(repair.changed) or 'none'}); then nothing to do in {quiet.seconds:.1f} s"
    )
    return repair, quiet


# What a deploy would change: the containers, Hearth's files, the engine's configuration.
_STATE = "docker ps --no-trunc -q; find /opt/hearth /etc/docker -type f -exec sha256sum {} + 2>/dev/null | sort"


def refused(*data: str, inventory: str = INVENTORY) -> str:
    """Deploy with these settings, which must be refused before anything is changed; the output."""
    before = _state()
    run = deploy(*data, inventory=inventory)
    assert run.code != 0, run.output
    assert "nothing was changed" in run.output, run.output
    assert "Traceback" not in run.output
    assert _state() == before
    return run.output


def _state() -> str:
    # A test may have moved sudo away.
    return on_guest(f"$(ls /usr/bin/sudo /var/tmp/sudo 2>/dev/null) sh -c '{_STATE}'")
