"""What ends every scenario: deploy again, and all is right; once more, and nothing is changed."""

from __future__ import annotations

import json

import lab
from hearth.models.names import full_name
from tests.acceptance.api import call, stream
from tests.lab.machine import INVENTORY, Run, deploy, on_guest, url

PROMPT_PATH = "/api/ollama"


def serves(models: tuple[str, ...] = ("tinyllama",)) -> None:
    """The page comes, the models are listed, and of each a prompt streams to its end."""
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
    """Deploy: it succeeds, and the host serves. Deploy again: nothing is changed. Both runs."""
    repair = deploy(*data)
    assert repair.code == 0, repair.output
    serves(tuple(lab.status().models))
    quiet = deploy(*data)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(
        f"\n  deployed again in {repair.seconds:.1f} s ({len(repair.changed)} operations changed something: "
        f"{', '.join(repair.changed) or 'none'}); then quiet in {quiet.seconds:.1f} s"
    )
    return repair, quiet


# What a deploy would change: the containers, Hearth's files, the engine's configuration.
_STATE = "docker ps --no-trunc -q; find /opt/hearth /etc/docker -type f -exec sha256sum {} + 2>/dev/null | sort"


def refused(*data: str, inventory: str = INVENTORY) -> str:
    """What a deploy with these settings says, which has to be refused before anything is changed."""
    before = _state()
    run = deploy(*data, inventory=inventory)
    assert run.code != 0, run.output
    assert "nothing was changed" in run.output, run.output
    assert "Traceback" not in run.output
    assert _state() == before
    return run.output


def _state() -> str:
    # A test may have taken sudo away from the user who logs in.
    return on_guest(f"$(ls /usr/bin/sudo /var/tmp/sudo 2>/dev/null) sh -c '{_STATE}'")
