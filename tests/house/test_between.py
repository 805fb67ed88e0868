"""The way between a gateway and its backends: who can reach Ollama, seen from a third machine on the LAN.

h1 is the gateway. h2's port is open to it, over HTTP (the form for a LAN); h3's is open over TLS with the gateway's
certificate. h4 is neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import artefacts
from lab.house import House
from tests.acceptance.api import call
from tests.lab.machine import Run, deploy, wait_until

pytestmark = pytest.mark.long

PROMPT = {"model": "tinyllama", "prompt": "go", "stream": False, "options": {"num_predict": 4}}
# sshd, and systemd-resolved's LLMNR, which Debian turns on.
OF_DEBIAN = {22, 5355}
# Prints the open TCP ports of an address. Refused ports respond at once.
SCAN = """
import asyncio, json, sys
async def main(address):
    limit, found = asyncio.Semaphore(300), []
    async def probe(port):
        async with limit:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 5)
            except (OSError, TimeoutError):
                return
            found.append(port)
            writer.close()
    await asyncio.gather(*map(probe, range(1, 65536)))
    print(json.dumps(sorted(found)))
asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def house(house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(house_parts, tmp_path_factory.mktemp("house"), 4) as one:
        yield one


@pytest.fixture(scope="module")
def inventory(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inventory")
    pools = {"default": [{"host": "h2"}, {"host": "h3"}]}
    own: dict[str, dict[str, object]] = {
        "h1": {"host_role": "gateway", "ollama_pools": pools},
        "h2": {"host_role": "backend"},
        "h3": {"host_role": "backend", "ollama_publish_tls": True},
    }
    common = {"proxy_tls_ca": str(directory / "ca")}
    path = directory / "between.py"
    path.write_text(f"hosts = {[(name, house.data(name) | common | data) for name, data in own.items()]!r}\n")
    return path


@pytest.fixture(scope="module")
def first(inventory: Path) -> Run:
    """The first deploy of all three hosts."""
    run = deploy(inventory=str(inventory))
    assert run.code == 0, run.output
    return run


def page(house: House) -> str:
    return f"http://{house.hosts['h1'].address}:85"


def open_ports(house: House, source: str, target: str) -> set[int]:
    """The TCP ports of one host that another one can connect to."""
    script = [sys.executable, "-c", SCAN, house.hosts[target].address]
    done = subprocess.run(house.on_network(source, *script), capture_output=True, text=True, timeout=300, check=True)
    return set(json.loads(done.stdout))


def curl(house: House, source: str, *words: str) -> str:
    """curl's output and error on the network of a host."""
    command = house.on_network(source, "curl", "-sS", "--max-time", "5", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.mark.usefixtures("first")
def test_both_backends_answer_through_the_gateway(house: House) -> None:
    def both() -> bool:
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda _: call(page(house), "POST", "/api/ollama", PROMPT), range(4)))
        assert {answer.status for answer in answers} == {200}, answers
        return {name for answer in answers for name in answer.all("x-hearth-backend")} == {"h2", "h3"}

    wait_until(both, 60, "both backends answer")


def test_second_deploy_changes_nothing(first: Run, inventory: Path) -> None:
    run = deploy(inventory=str(inventory))
    assert (run.code, run.changed) == (0, ()), run.output
    print(f"\n  first deploy {first.seconds:.1f} s, second {run.seconds:.1f} s")


@pytest.mark.usefixtures("first")
def test_third_machine_reaches_no_backend(house: House) -> None:
    for backend in ("h2", "h3"):
        assert open_ports(house, "h4", backend) == OF_DEBIAN
        assert open_ports(house, "h1", backend) == OF_DEBIAN | {11434}
    assert open_ports(house, "h4", "h1") == OF_DEBIAN | {85}


@pytest.mark.usefixtures("first")
def test_tls_port_requires_the_key_even_of_the_gateway(house: House) -> None:
    port = f"{house.hosts['h3'].address}:11434"
    assert "alert certificate required" in curl(house, "h1", "-k", f"https://{port}/api/tags")
    assert "models" not in curl(house, "h1", f"http://{port}/api/tags")
    assert "Ollama is running" in curl(house, "h1", f"http://{house.hosts['h2'].address}:11434/")
    # Deploys list the models inside the container.
    lists = "sudo docker logs hearth-ollama 2>&1 | grep /api/tags | grep GIN] | grep -v 127.0.0.1 || true"
    assert house.ssh("h3", lists) == ""


@pytest.mark.usefixtures("first")
def test_keys_are_readable_by_httpd_alone(house: House) -> None:
    assert house.ssh("h1", "sudo stat -c '%a %U %G' /opt/hearth/tls/live/gateway.pem") == "640 root www-data"
    assert "PRIVATE" not in house.ssh("h1", "sudo docker inspect hearth-httpd; sudo cat /opt/hearth/httpd/httpd.conf")
    assert house.ssh("h1", "sudo find /opt/hearth/releases -name '*.pem' 2>/dev/null || true") == ""
