"""A deploy with the shipped defaults, through the names of Docker Hub and Ollama's library.

The real services are not reachable where Hearth is developed, so replicas respond instead: see hub_replica.py. They
serve what the lab built, **under the tags of the defaults**, whatever its version. This shows that the defaults alone
(names, tags, Docker Hub's token, HTTPS, the library's name of the model) lead to a working host, not that the images on
Docker Hub work.
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
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubReplica]:
    """A fresh guest of the lab in hub mode, in a network with the replicas."""
    # Only the replicas' content is built, not the lab under test.
    run.run("python", "-m", "lab", "build", "images", "tools", "smollm2")
    if artefacts.missing(("smollm2",)):
        pytest.skip(f"{smollm2.NAME} could not be fetched for the replica")
    with hub_replica.running(tmp_path_factory.mktemp("hub")) as running:
        # Like `make demo IMAGES=hub`, with the network set up between two stages.
        run.demo_lab(hub.HUB)
        hub_replica.redirect_guest(running)
        yield running
    restore("fresh")


def test_shipped_defaults_deploy_and_answer_prompts(replica: HubReplica, capsys: pytest.CaptureFixture[str]) -> None:
    status = lab.status(must_run=True)
    assert set(status.pids) == {"qemu"}, "only the guest runs"
    [(_, data)] = runpy.run_path("inventory/lab.py")["lab"]
    settings = {name: value for name, value in data.items() if name in defaults()}
    assert settings == {"ollama_models": [smollm2.NAME]}

    run.deploy()
    serves((smollm2.NAME,))
    run.first_prompt()
    output = capsys.readouterr().out
    print(output)
    reply = output.partition(f"{smollm2.NAME}: ")[2].partition("\n\nChat page: ")[0]
    assert len(reply.split()) > 20, output

    running = on_guest("sudo docker ps --format '{{.Image}}' | sort").splitlines()
    assert running == sorted([defaults()["proxy_image"], defaults()["ollama_image"]])
    assert "registry-mirrors" not in on_guest("cat /etc/docker/daemon.json")
    for name in (IMAGES, TOKENS, MODELS):
        assert replica.served[name] > 0, replica.served
    print(f"\n  served: {dict(replica.served)}; the page is at {url()}")


@pytest.mark.usefixtures("replica")
def test_second_deploy_changes_nothing() -> None:
    again = deploy()
    assert (again.code, again.changed) == (0, ()), again.output
    print(f"\n  nothing to do: {again.seconds:.1f} s")
