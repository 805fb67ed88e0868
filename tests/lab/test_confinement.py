"""Containers with minimal privileges: they serve, pull and reload, and nothing else."""

from __future__ import annotations

import json

import pytest

from hearth.paths import BACK, CONTAINERS, FRONT, OUT, ROOT
from tests.acceptance.api import call, stream
from tests.lab.checks import deploy_twice
from tests.lab.machine import HTTPD_IMAGE, OLLAMA_IMAGE, deploy, deployed_with, on_guest, restore, url
from tests.lab.outside import address_of, attach, status

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

OLLAMA, HTTPD = CONTAINERS["ollama"], CONTAINERS["httpd"]
REACHES = "timeout 5 bash -c 'exec 3<>/dev/tcp/{}/{}' 2>/dev/null && echo yes || echo no"


@pytest.mark.long
def test_confined_containers_pull_reload_and_stream() -> None:
    on_guest(f"sudo docker exec {OLLAMA} ollama rm tinyllama")
    run = deploy('proxy_host_names=["new.example"]')
    assert run.code == 0, run.output
    assert "Models | Pull the models" in run.changed
    assert call(url(), "GET", "/", headers={"Host": "new.example"}).status == 200, "httpd uses its new file"
    body = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 50}}
    assert json.loads(stream(url(), "/api/ollama", body)[-1].text)["done"] is True
    # Ollama's command line must work as well.
    assert "tinyllama" in on_guest(f"sudo docker exec {OLLAMA} ollama list")


@pytest.mark.parametrize("container", CONTAINERS.values())
def test_only_designated_paths_are_writable(container: str) -> None:
    inside = f"sudo docker exec {container} bash -c"
    for path in ("/", "/usr/bin", "/etc", "/usr/local/apache2/conf", "/usr/local/apache2/htdocs"):
        said = on_guest(f"{inside} 'touch {path}/x 2>&1'", check=False)
        assert "Read-only file system" in said or "No such file" in said, (path, said)
    assert on_guest(f"{inside} 'echo 1 > /tmp/x && cat /tmp/x && rm /tmp/x'") == "1"
    # Files there can't be executed, and the space is limited.
    assert "Permission denied" in on_guest(f"{inside} 'cp /bin/true /tmp/t && /tmp/t; rm /tmp/t' 2>&1", check=False)
    assert "No space left" in on_guest(f"{inside} 'head -c 100000000 /dev/zero > /tmp/x; rm /tmp/x' 2>&1", check=False)


@pytest.mark.parametrize("container", CONTAINERS.values())
def test_privileges_cannot_be_escalated(container: str) -> None:
    inside = f"sudo docker exec {container} bash -c"
    status_of_1 = on_guest(f"{inside} 'cat /proc/1/status'")
    assert "CapBnd:\t0000000000000000" in status_of_1
    assert "NoNewPrivs:\t1" in status_of_1
    assert (
        on_guest(f"{inside} 'ls /var/run/docker.sock 2>/dev/null; mount -t tmpfs x /tmp 2>/dev/null'", check=False)
        == ""
    )
    assert on_guest(f"{inside} 'id -u'") == ("33" if container == HTTPD else "0")


@pytest.mark.long
def test_number_of_processes_is_limited() -> None:
    """A fork bomb in httpd's container hits its limit, and the page stays available."""
    # More memory than by default, whose limit would be reached first.
    deployed_with('proxy_memory_limit="1g"')
    bomb = "for ((n = 0; n < 2500; n++)); do sleep 307 & done 2>&1 | head -n 1"
    said = on_guest(f"sudo docker exec {HTTPD} bash -c '{bomb}'", timeout=300, check=False)
    assert "fork" in said or "Resource temporarily unavailable" in said, said
    assert call(url(), "GET", "/").status == 200
    on_guest("sudo pkill -f '[s]leep 307'")
    assert on_guest("echo well") == "well"


@pytest.mark.long
def test_ollama_is_only_reachable_from_httpd() -> None:
    attach()
    back, out = address_of(OLLAMA, BACK), address_of(OLLAMA, OUT)
    assert on_guest(f'sudo docker exec {HTTPD} bash -c "{REACHES.format("ollama", 11434)}"') == "yes"
    # From a container on the default network and one next to httpd: by address, by name, and through published ports.
    for network in ("bridge", FRONT):
        for address in (back, out, "ollama", "172.17.0.1", "10.9.0.1"):
            script = REACHES.format(address, 11434)
            run = f'sudo docker run --rm --network {network} --entrypoint bash {HTTPD_IMAGE} -c "{script}"'
            assert on_guest(run, timeout=120) == "no", (network, address)
    # From outside, by the host's address and directly by the container's.
    for who in ("listed", "unlisted"):
        assert status(who, "10.9.0.1", 11434) == 0
        assert status(who, back, 11434) == 0
    # The network between both has no route to other networks.
    script = REACHES.format("10.9.0.20", 22)
    run = f'sudo docker run --rm --network {BACK} --entrypoint bash {HTTPD_IMAGE} -c "cat /proc/net/route; {script}"'
    said = on_guest(run, timeout=120).splitlines()
    assert said[-1] == "no"
    assert not any(line.split()[1] == "00000000" for line in said[1:-1]), "it has no default route"


@pytest.mark.long
def test_unpublished_ollama_is_unreachable_even_with_a_route() -> None:
    attach()
    run = deploy('ollama_publish=""')
    assert run.code == 0, run.output
    for network in (BACK, OUT):
        assert status("unlisted", address_of(OLLAMA, network), 11434) == 0, network


@pytest.mark.long
def test_models_directory_owned_by_another_user() -> None:
    on_guest("sudo install -d -o pi -g pi -m 0755 /srv/models")
    deploy_twice('ollama_models_dir="/srv/models"')
    assert "models/blobs/sha256-" in on_guest("find /srv/models -path '*blobs*' -type f | head -n 1")


@pytest.mark.long
def test_containers_of_an_earlier_version_are_recreated_once() -> None:
    """One network for both and root in both, as in earlier versions."""
    on_guest(
        f"cd {ROOT} && sudo docker compose down && sudo docker network create "
        "--label com.docker.compose.project=hearth --label com.docker.compose.network=hearth hearth && "
        f"sudo docker run -d --name hearth-ollama --network hearth -v hearth-models:/root/.ollama {OLLAMA_IMAGE}",
        timeout=300,
    )
    deploy_twice()
    networks = on_guest("sudo docker network ls --format '{{.Name}}'").split()
    assert {BACK, FRONT, OUT} < set(networks)
    restore("deployed")
