"""A deploy with the shipped defaults, through the names of Docker Hub and Ollama's library.

Those can't be reached where this is developed, so stand-ins answer for them: see hub_replica.py. What they serve is
what the lab built, **under the tags of the defaults**, whatever version it is. What this shows is that the defaults
alone (names, tags, the token that Docker Hub wants, HTTPS, the library's name of the model) lead to a host that serves;
not that the images on Docker Hub do.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator

import pytest

import lab
from lab import artefacts, hub, smollm2
from tests import run
from tests.lab.checks import serves
from tests.lab.machine import deploy, on_guest, restore, url
from tests.lab.places import hub_replica
from tests.lab.places.hub_replica import IMAGES, MODELS, TOKENS, HubReplica
from tests.support.shipped import defaults

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubReplica]:
    """A fresh guest of the lab in hub mode, in a network in which the stand-ins are the hub."""
    # What the stand-ins serve is built; the lab that is tried is not.
    run.run("python", "-m", "lab", "build", "images", "tools", "smollm2")
    if artefacts.missing(("smollm2",)):
        pytest.skip(f"{smollm2.NAME} could not be fetched for the stand-in")
    with hub_replica.running(tmp_path_factory.mktemp("hub")) as running:
        # The way of `make demo IMAGES=hub`, with the network between two of its stages.
        run.demo_lab(hub.HUB)
        hub_replica.lead_there(running)
        yield running
    restore("fresh")


def test_shipped_defaults_deploy_and_answer_prompts(stand_in: HubReplica, capsys: pytest.CaptureFixture[str]) -> None:
    status = lab.status(must_run=True)
    assert set(status.pids) == {"qemu"}, "nothing but the guest runs"
    [(_, data)] = runpy.run_path("inventory/lab.py")["lab"]
    settings = {name: value for name, value in data.items() if name in defaults()}
    assert settings == {"ollama_models": [smollm2.NAME]}

    run.deploy()
    serves((smollm2.NAME,))
    run.first_prompt()
    said = capsys.readouterr().out
    print(said)
    answer = said.partition(f"{smollm2.NAME}: ")[2].partition("\n\nChat page: ")[0]
    assert len(answer.split()) > 20, said

    running = on_guest("sudo docker ps --format '{{.Image}}' | sort").splitlines()
    assert running == sorted([defaults()["proxy_image"], defaults()["ollama_image"]])
    assert "registry-mirrors" not in on_guest("cat /etc/docker/daemon.json")
    for name in (IMAGES, TOKENS, MODELS):
        assert stand_in.served[name] > 0, stand_in.served
    print(f"\n  answered: {dict(stand_in.served)}; the page is at {url()}")


@pytest.mark.usefixtures("stand_in")
def test_second_deploy_changes_nothing() -> None:
    again = deploy()
    assert (again.code, again.changed) == (0, ()), again.output
    print(f"\n  nothing to do: {again.seconds:.1f} s")
