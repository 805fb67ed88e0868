"""TLS and a key between a gateway's httpd and a backend's, in front of a real Ollama on a machine of its own.

docs/scaling.md describes what these tests show.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from hearth.settings.pools import backend_name
from hearth.settings.routes import OLLAMA_MANAGEMENT
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
    certificates: Path

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
        yield House(machine, ollama, backend, authority, found[GATEWAY], keys, served)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The local CA of another house."""
    return create_authority(tmp_path_factory.mktemp("other"), [], today())


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


def asked(house: House, path: str) -> int:
    """The number of requests to that path that reached Ollama; a gateway's health checks have another one."""
    return house.ollama.log().count(f'"{path}"')


def refused(house: House, web: Httpd) -> None:
    """The gateway gets no answer from the backend, and Ollama no request."""
    before = asked(house, "/api/generate")
    answer = call(web.url, "POST", "/api/ollama", PROMPT)
    # 503 once the health check has noticed.
    assert answer.status in (500, 502, 503), web.log()[-3000:]
    assert asked(house, "/api/generate") == before


def test_certificate_of_another_authority_is_refused(house: House, gateway: Gateway, other: Authority) -> None:
    refused(house, gateway(ca=other.pem))


def test_certificate_for_another_name_is_refused(house: House, gateway: Gateway) -> None:
    web = gateway()
    assert call(web.url, "POST", "/api/ollama", PROMPT).status == 200
    served = house.certificates / "server.pem"
    right = served.read_bytes()
    write(served, house.authority.issue([backend_name("192.168.1.99")], today()))
    house.backend.reload()
    try:
        refused(house, gateway())
    finally:
        write(served, right)
        house.backend.reload()


def test_key_of_another_house_is_refused(house: House, gateway: Gateway, other: Authority) -> None:
    refused(house, gateway(gateway=other.issue_for_gateway(today())))


def test_certificate_of_a_server_is_not_a_key(house: House, gateway: Gateway) -> None:
    pair = house.authority.issue([house.name], today())
    key = serialization.load_pem_private_key(pair, None)
    # The form that httpd reads there.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    refused(house, gateway(gateway=pair[: pair.index(b"-----BEGIN PRIVATE")] + pem))


def test_request_without_a_key_ends_before_it_is_read(house: House) -> None:
    before = asked(house, "/api/tags")
    context = ssl.create_default_context(cadata=house.authority.pem.decode())
    context.check_hostname = False
    address = (house.machine.address, PORT)
    with socket.create_connection(address, timeout=5) as plain, context.wrap_socket(plain) as secure:
        # With TLS 1.3, the server verifies the client after the client's handshake has ended.
        secure.sendall(b"GET /api/tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="certificate required"):
            secure.recv(100)
    assert call(f"http://{address[0]}:{PORT}", "GET", "/api/tags").status == 400
    assert asked(house, "/api/tags") == before


def test_key_permits_no_management(house: House) -> None:
    """A gateway that was taken over can't delete models."""
    context = ssl.create_default_context(cadata=house.authority.pem.decode())
    context.check_hostname = False
    context.load_cert_chain(house.keys / "gateway.pem")
    for path, methods in OLLAMA_MANAGEMENT.items():
        before = asked(house, path)
        for method in methods:
            connection = http.client.HTTPSConnection(house.machine.address, PORT, timeout=5, context=context)
            connection.request(method, path, b"{}")
            assert connection.getresponse().status == 403, path
            connection.close()
        assert asked(house, path) == before
