"""Hearth is removed, and nothing else changes."""

from __future__ import annotations

import json

import pytest

from hearth.paths import DAEMON_JSON, DEPLOY_LOCK, ROOT
from tests.acceptance.api import call
from tests.lab.machine import HTTPD_IMAGE, Run, deploy, on_guest, pyinfra, restore, url

pytestmark = pytest.mark.scenario

STACK = "Uninstall | Remove containers, networks and images"
ENGINE = "Uninstall | Restore daemon.json"
FILES = "Uninstall | Remove the files"

# A container of one of Hearth's images, on Hearth's network and another one, with a volume; a key in the engine's
# configuration; a file in Hearth's directory.
OTHERS = f"""set -e
sudo sed -i '1a "debug": true,' {DAEMON_JSON}
sudo systemctl restart docker
sudo docker network create theirs
sudo docker volume create theirs
sudo docker run -d --name theirs --network theirs -v theirs:/data {HTTPD_IMAGE}
sudo docker network connect hearth-front theirs
echo 'the key is under the mat' | sudo tee {ROOT}/htdocs/notes.txt
"""
# What must be the same before and after: ids, start times, contents.
THEIRS = f"""set -e
sudo docker inspect -f '{{{{.Id}}}} {{{{.Image}}}} {{{{.State.Running}}}} {{{{.State.StartedAt}}}}' theirs
sudo docker network inspect -f '{{{{.Id}}}}' theirs
sudo docker volume inspect -f '{{{{.CreatedAt}}}} {{{{.Mountpoint}}}}' theirs
sudo sha256sum {ROOT}/htdocs/notes.txt
"""


def uninstall(*data: str) -> Run:
    run = pyinfra("deploys/uninstall.py", *data)
    assert run.code == 0, run.output
    return run


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_uninstall_keeps_everything_that_is_not_hearths() -> None:
    on_guest(OTHERS, timeout=300)
    theirs = on_guest(THEIRS)

    first = uninstall()
    print(f"\nuninstall: {first.seconds:.1f} s")
    assert first.changed == (STACK, ENGINE, FILES), first.output
    assert "will remove: container hearth-ollama" in first.output
    assert "will keep: network hearth-front: used by theirs" in first.output
    assert f"will keep: image {HTTPD_IMAGE}: used by theirs" in first.output
    assert "will keep: models in the volume hearth-models (/var/lib/docker/volumes/hearth-models/_data)" in first.output
    assert f"will keep: {ROOT}/htdocs/notes.txt" in first.output
    assert on_guest(THEIRS) == theirs
    assert on_guest("sudo docker ps -a --format '{{.Names}}'") == "theirs"
    assert on_guest("sudo docker images --format '{{.Repository}}:{{.Tag}}'") == HTTPD_IMAGE
    assert on_guest(f"find {ROOT} -type f") == f"{ROOT}/htdocs/notes.txt"
    assert json.loads(on_guest(f"cat {DAEMON_JSON}")) == {"debug": True}
    # The run's own lock remains; it is free, and disappears with a reboot.
    assert on_guest("ls /run/hearth* 2>/dev/null", check=False) == DEPLOY_LOCK
    assert "hearth-models" in on_guest("sudo docker volume ls --quiet")

    assert uninstall().changed == ()

    on_guest("sudo docker network disconnect hearth-front theirs")
    assert uninstall().changed == (STACK,)
    assert "hearth-" not in on_guest("sudo docker network ls --format '{{.Name}}'")
    assert on_guest(THEIRS) == theirs
    assert uninstall().changed == ()

    again = deploy()
    assert again.code == 0, again.output
    assert "Models | Pull the models" not in again.changed, "they were kept"
    answer = call(url(), "POST", "/api/ollama", {"model": "tinyllama", "prompt": "hi", "stream": False}, timeout=300)
    assert answer.status == 200, answer
    assert on_guest(THEIRS) == theirs


@pytest.mark.usefixtures("deployed")
@pytest.mark.long
def test_uninstall_with_models_leaves_nothing() -> None:
    before = set(on_guest("sudo docker volume ls --quiet; sudo docker images --quiet").split())
    uninstall("x_uninstall_models=delete")
    assert on_guest("sudo docker ps --all --quiet") == ""
    assert on_guest("sudo docker images --quiet; sudo docker volume ls --quiet") == "", before
    assert on_guest("sudo docker network ls --quiet --filter type=custom") == ""
    assert on_guest(f"ls -d {ROOT} {DAEMON_JSON} 2>/dev/null", check=False) == ""
    assert on_guest("systemctl is-active docker") == "active", "Docker itself is kept"
    assert uninstall("x_uninstall_models=delete").changed == ()


@pytest.mark.long
def test_uninstall_on_a_fresh_host_changes_nothing() -> None:
    restore("fresh")
    run = uninstall()
    assert run.changed == ()
    assert "Hearth is not installed on this host" in run.output
