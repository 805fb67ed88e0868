"""Manual changes on the host are repaired by the next deploy, and the one after that has nothing to do."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hearth.paths import DAEMON_JSON, ROOT
from tests.acceptance.api import call
from tests.lab.machine import HTTPD_IMAGE, NEXT_OLLAMA, OLLAMA_IMAGE, Run, deploy, listed_on_guest, on_guest, url

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

UP = "Stack | Start the containers"
FILES = "Stack | Write the files"
IMAGES = "Stack | Pull the images"
MODELS = "Models | Pull the models"
ENGINE = "Docker | Configure the engine"

# Manual change → the operations that must repair it.
DRIFT = {
    "container removed": ("sudo docker rm -f hearth-httpd", (UP,)),
    "container stopped": ("sudo docker stop -t 1 hearth-ollama", (UP,)),
    "container paused": ("sudo docker pause hearth-ollama", (UP,)),
    "container off the network": ("sudo docker network disconnect hearth-back hearth-ollama", (UP,)),
    "image retagged": (f"sudo docker tag {OLLAMA_IMAGE} {HTTPD_IMAGE}", (IMAGES,)),
    "recreated manually with another environment": (
        "sudo docker rm -f hearth-ollama && sudo docker run -d --name hearth-ollama --network hearth-back "
        f"-v hearth-models:/root/.ollama -e OLLAMA_ORIGINS='*' {OLLAMA_IMAGE}",
        (UP,),
    ),
    "recreated by Compose with another environment": (
        f"cd {ROOT} && sudo sed 's/OLLAMA_ORIGINS:.*/OLLAMA_ORIGINS: \"*\"/' compose.yaml | "
        "sudo docker compose --project-directory . -f - up -d --wait",
        (UP,),
    ),
    "compose.yaml edited": (f"sudo sed -i 's!{OLLAMA_IMAGE}!{NEXT_OLLAMA}!' {ROOT}/compose.yaml", (FILES,)),
    "page edited": (f"echo '<p>mine</p>' | sudo tee -a {ROOT}/htdocs/index.html", (FILES,)),
    "httpd.conf edited and loaded": (
        f"sudo sed -i 's/^KeepAliveTimeout .*/KeepAliveTimeout 1/' {ROOT}/httpd/httpd.conf && "
        "sudo docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful",
        (FILES, UP),
    ),
    "httpd.conf broken, httpd restarted into it": (
        f"echo 'Nonsense on' | sudo tee -a {ROOT}/httpd/httpd.conf && sudo docker restart -t 1 hearth-httpd",
        (FILES, UP),
    ),
    "page unreadable for httpd": (f"sudo chmod 0600 {ROOT}/htdocs/chat.js", (FILES,)),
    "model deleted": ("sudo docker exec hearth-ollama ollama rm tinyllama", (MODELS,)),
    "engine stopped and disabled": (
        "sudo systemctl disable --now docker.service docker.socket",
        (ENGINE,),
    ),
    "mirror removed from daemon.json": (
        f'sudo sed -i \'s/"registry-mirrors"/"insecure-registries"/\' {DAEMON_JSON}',
        (ENGINE,),
    ),
}


# Several at once in CI; each separately with `make test SUITE=faults`.
TOGETHER = {
    "six changes": (
        "model deleted",
        "page edited",
        "compose.yaml edited",
        "image retagged",
        "container removed",
        "mirror removed from daemon.json",
    ),
    "four changes": (
        "page unreadable for httpd",
        "httpd.conf broken, httpd restarted into it",
        "recreated manually with another environment",
        "engine stopped and disabled",
    ),
}


@pytest.mark.parametrize("title", ["six changes", pytest.param("four changes", marks=pytest.mark.long)])
def test_several_kinds_of_drift_are_repaired_at_once(title: str) -> None:
    repaired(title, TOGETHER[title])


@pytest.mark.long
@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_repaired_and_next_deploy_changes_nothing(what: str) -> None:
    repaired(what, (what,))


def repaired(title: str, kinds: Iterable[str]) -> None:
    """Make these changes, deploy, and deploy again."""
    expected = set()
    for what in kinds:
        change, operations = DRIFT[what]
        on_guest(change)
        expected |= set(operations)
    repair = deploy()
    assert repair.code == 0, repair.output
    assert expected <= set(repair.changed), (repair.changed, repair.output)
    check_response()
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    by = ", ".join(repair.changed)
    print(f"\n{title}: repaired in {repair.seconds:.1f} s by {by}; then nothing to do in {quiet.seconds:.1f} s")


def check_response() -> None:
    answer = call(url(), "POST", "/api/ollama", {"model": "tinyllama", "prompt": "hi", "stream": False}, timeout=300)
    assert answer.status == 200, answer
    unlisted = call(url(), "POST", "/api/ollama", {}, {"Origin": "http://evil.example"})
    assert unlisted.status == 403


@pytest.mark.long
def test_engine_settings_of_the_user_are_kept() -> None:
    on_guest(f"sudo sed -i '1a \"debug\": true,' {DAEMON_JSON} && sudo systemctl restart docker")
    first: Run = deploy()
    assert first.code == 0, first.output
    assert '"debug": true' in on_guest(f"cat {DAEMON_JSON}")
    changed = deploy('docker_log_max_size="20m"')
    assert changed.code == 0, changed.output
    text = on_guest(f"cat {DAEMON_JSON}")
    assert '"debug": true' in text
    assert '"20m"' in text


@pytest.mark.long
def test_invalid_daemon_json_is_refused_and_not_changed() -> None:
    on_guest(f"echo '{{ broken' | sudo tee {DAEMON_JSON}")
    run = deploy()
    assert run.code != 0
    assert f"{DAEMON_JSON} on the host is not JSON" in run.output
    assert on_guest(f"cat {DAEMON_JSON}") == "{ broken"
    assert call(url(), "GET", "/").status == 200


@pytest.mark.long
def test_unresponsive_engine_is_an_error() -> None:
    """An engine that cannot start: the run fails with that message, and nothing is recreated."""
    before = listed_on_guest("sudo docker ps -q --no-trunc")
    on_guest(
        "sudo mkdir -p /etc/systemd/system/docker.service.d && "
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 1000000\\nType=simple\\n' | "
        "sudo tee /etc/systemd/system/docker.service.d/dead.conf && sudo systemctl daemon-reload && "
        "sudo systemctl stop docker.socket && sudo systemctl restart docker.service"
    )
    run = deploy()
    assert run.code != 0
    assert "the Docker engine does not respond" in run.output, run.output
    assert not run.changed
    on_guest(
        "sudo rm /etc/systemd/system/docker.service.d/dead.conf && sudo systemctl daemon-reload && "
        "sudo systemctl restart docker.socket docker.service"
    )
    assert listed_on_guest("sudo docker ps -q --no-trunc") == before
