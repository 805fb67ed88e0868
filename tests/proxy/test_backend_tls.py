"""TLS and a key between a gateway's httpd and a backend's, in front of a real Ollama on a machine of its own.

docs/scaling.md describes what these tests show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from hearth.settings.pools import backend_name
from hearth.tls.certificate import today
from hearth.tls.local_ca import Authority, create_authority
from lab import artefacts
from tests.acceptance.api import call
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.machine_on_lan import MachineOnLan
from tests.proxy.ollama import Ollama
from tests.proxy.test_pools import PROMPT, Stream
from tests.support.shipped import shipped_settings

PORT = 8443
GATEWAY = "192.168.1.10"


@dataclass
class House:
    """A backend with its own httpd and Ollama, and the files and settings of its gateway."""

    machine: MachineOnLan
    ollama: Ollama
    backend: Httpd
    authority: Authority
    settings: Settings
    keys: Path

    @property
    def name(self) -> str:
        return backend_name(self.machine.address)


def write(path: Path, content: bytes) -> None:
    """Like a deploy, with one rename; readable by httpd, which does not run as root."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(0o644)
    path.parent.chmod(0o755)
    draft.rename(path)


@pytest.fixture(scope="module")
def house(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        machine = stack.enter_context(MachineOnLan())
        ollama = stack.enter_context(
            Ollama(
                parts["roots"] / "ollama",
                tmp_path_factory.mktemp("ollama"),
                parts["models"],
                machine.address,
                environment={"OLLAMA_NUM_PARALLEL": "4", "OLLAMA_MAX_LOADED_MODELS": "2"},
                network=machine.name,
            )
        )
        address = machine.address
        found = resolve_house(
            {
                GATEWAY: shipped_settings(
                    host_role="gateway", proxy_port=8085, ollama_pools={"default": [{"host": address, "slots": 2}]}
                ),
                address: shipped_settings(
                    host_role="backend", proxy_port=8085, ollama_publish=f"0.0.0.0:{PORT}", ollama_publish_tls=True
                ),
            },
            {GATEWAY: GATEWAY, address: address},
        )
        authority = create_authority(tmp_path_factory.mktemp("ca"), [], today())
        served, keys = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("keys")
        write(served / "ca.crt", authority.pem)
        write(served / "server.pem", authority.issue(found[address].proxy_tls_names, today()))
        write(keys / "ca.crt", authority.pem)
        write(keys / "gateway.pem", authority.issue_for_gateway(today()))
        backend = Httpd(
            parts["roots"] / "httpd",
            tmp_path_factory.mktemp("backend"),
            found[address],
            ollama.address,
            {f"{PREFIX}/conf/tls": served},
            address,
            machine.name,
        )
        stack.enter_context(backend)
        assert call(ollama.url, "POST", "/api/generate", PROMPT).status == 200, ollama.log()[-2000:]
        yield House(machine, ollama, backend, authority, found[GATEWAY], keys)


Gateway = Callable[..., Httpd]


@pytest.fixture
def gateway(house: House, httpd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Starts the gateway's httpd, with other files than its own if given."""
    with ExitStack() as stack:

        def start(**files: bytes) -> Httpd:
            keys = tmp_path_factory.mktemp("keys")
            for path in house.keys.iterdir():
                write(keys / path.name, files.get(path.stem, path.read_bytes()))
            web = Httpd(
                httpd_image, tmp_path_factory.mktemp("gateway"), house.settings, None, {f"{PREFIX}/conf/tls": keys}
            )
            web.set_names({house.name: house.machine.address})
            return stack.enter_context(web)

        yield start


def test_a_request_with_the_key_streams(house: House, gateway: Gateway) -> None:
    web = gateway()
    answer = call(web.url, "POST", "/api/ollama", PROMPT)
    assert (answer.status, answer.all("x-hearth-backend")) == (200, [house.machine.address]), web.log()[-3000:]
    assert call(web.url, "GET", "/api/tags").json()["models"]
    assert call(web.url, "GET", "/v1/models/tinyllama").status == 200
    stream = Stream(web)
    assert stream.goes_on()
    stream.close()
