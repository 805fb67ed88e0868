"""Upgrades: accepted if they work, rolled back if they don't, and rolled back on demand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from hearth.paths import ACCEPTED, IMAGES_LOCK, RELEASE_LOG
from tests.acceptance.api import call
from tests.lab.machine import HTTPD_IMAGE, NEXT_HTTPD, NEXT_OLLAMA, OLLAMA_IMAGE, Run, deploy, on_guest, pyinfra, url

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

PROMPT = {"model": "tinyllama", "prompt": "hi", "stream": False}


def build(tag: str, *instructions: str) -> None:
    """An image of another version, built on the guest and recorded as if it had been pulled."""
    on_guest(
        f"{decoded(chr(10).join(instructions))} | sudo docker build -q -t {tag} - && "
        f"sudo docker image inspect -f '{tag} {{{{.Id}}}}' {tag} | sudo tee -a {IMAGES_LOCK}",
        timeout=300,
    )


def decoded(text: str) -> str:
    """A shell command that prints the text, which may contain any characters."""
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d"


def container_ids() -> dict[str, str]:
    lines = on_guest("sudo docker ps --no-trunc --format '{{.Names}} {{.ID}}'").splitlines()
    return dict(line.split() for line in lines)


def image_of(container: str) -> str:
    return on_guest(f"sudo docker inspect -f '{{{{.Config.Image}}}}' {container}")


def events() -> list[dict[str, Any]]:
    return [json.loads(line) for line in on_guest(f"sudo cat {RELEASE_LOG}").splitlines()]


def serves() -> None:
    """The page loads, and a model answers a prompt completely."""
    assert call(url(), "GET", "/").status == 200
    assert call(url(), "POST", "/api/ollama", PROMPT, timeout=300).json()["done"] is True


@pytest.mark.long
def test_upgrade_is_accepted_and_can_be_rolled_back() -> None:
    first = on_guest(f"cat {ACCEPTED}")
    before = container_ids()
    build(NEXT_HTTPD, f"FROM {HTTPD_IMAGE}", "LABEL version=2.4.69")
    upgrade = deploy(f'proxy_image="{NEXT_HTTPD}"', 'chat_title="Upgraded"')
    assert upgrade.code == 0, upgrade.output
    serves()
    second = on_guest(f"cat {ACCEPTED}")
    assert second > first
    after = container_ids()
    assert after["hearth-httpd"] != before["hearth-httpd"]
    assert after["hearth-ollama"] == before["hearth-ollama"], "only the changed container is replaced"
    again = deploy(f'proxy_image="{NEXT_HTTPD}"', 'chat_title="Upgraded"')
    assert (again.code, again.changed) == (0, ()), again.output

    back = pyinfra("deploys/rollback.py")
    assert back.code == 0, back.output
    serves()
    assert b"Upgraded" not in call(url(), "GET", "/").body
    assert image_of("hearth-httpd") == HTTPD_IMAGE
    assert on_guest(f"cat {ACCEPTED}") == first
    assert [event["event"] for event in events()] == ["accepted", "accepted", "rolled back to"]
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(f"\nupgrade {upgrade.seconds:.1f} s, rollback {back.seconds:.1f} s, then no changes in {quiet.seconds:.1f} s")

    none = pyinfra("deploys/rollback.py")
    assert none.code != 0
    assert "no release to roll back to" in none.output


def refused(run: Run, why: str) -> None:
    """The upgrade failed with this reason, and the previous release is in service."""
    assert run.code != 0
    assert why in run.output, run.output
    assert "is running again" in run.output, run.output
    assert "Traceback" not in run.output
    serves()
    assert image_of("hearth-httpd") == HTTPD_IMAGE
    assert image_of("hearth-ollama") == OLLAMA_IMAGE
    assert [event["event"] for event in events()] == ["accepted", "refused"]
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(f"\nrefused and rolled back in {run.seconds:.1f} s; no changes with old settings in {quiet.seconds:.1f} s")


def test_image_that_does_not_start_is_rolled_back() -> None:
    script = "#!/bin/sh\necho no such luck >&2\nexit 3\n"
    build(NEXT_HTTPD, f"FROM {HTTPD_IMAGE}", f"RUN {decoded(script)} > /usr/local/bin/httpd-foreground")
    refused(deploy(f'proxy_image="{NEXT_HTTPD}"', "proxy_timeout=1000"), "no such luck")


@pytest.mark.long
def test_ollama_that_is_healthy_but_answers_no_prompt_is_rolled_back() -> None:
    """Its server lists models, but every process that runs one is killed. It then retries until the timeout."""
    script = (
        "#!/bin/bash\n"
        "while sleep 0.3; do for p in /proc/[0-9]*; do\n"
        "  grep -qs -- --port $p/cmdline && kill -9 ${p#/proc/}\n"
        "done; done &\n"
        "exec ollama serve\n"
    )
    build(
        NEXT_OLLAMA,
        f"FROM {OLLAMA_IMAGE}",
        f"RUN {decoded(script)} > /sick && chmod +x /sick",
        'ENTRYPOINT ["/sick"]',
        "CMD []",
    )
    timeouts = "proxy_timeout=60", 'ollama_load_timeout="60s"'
    refused(deploy(f'ollama_image="{NEXT_OLLAMA}"', *timeouts), "did not complete")


@pytest.mark.long
def test_change_of_ollama_does_not_recreate_httpd() -> None:
    before = container_ids()
    run = deploy('ollama_keep_alive="6m"')
    assert run.code == 0, run.output
    after = container_ids()
    assert after["hearth-ollama"] != before["hearth-ollama"]
    assert after["hearth-httpd"] == before["hearth-httpd"]
    serves()
