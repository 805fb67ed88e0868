"""TLS and a key between a gateway's httpd and a backend's, in front of a real Ollama on a machine of its own.

docs/scaling.md describes what these tests show.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from hearth.settings.pools import Member, backend_name
from hearth.settings.routes import OLLAMA_MANAGEMENT
from hearth.tls.certificate import today
from hearth.tls.local_ca import Authority, create_authority
from lab import artefacts
from tests.acceptance.api import call
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.machine_on_lan import MachineOnLan
from tests.proxy.ollama import Ollama
from tests.proxy.test_pools import PROMPT, Stream
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.shipped import shipped_settings

PORT = 8443
# Health checks: every five seconds; then what a busy computer adds.
NOTICED = 60.0
# In the backend's container, where the test publishes port 80 as 8085.
LIST_REQUESTS = (
    "bash -c 'exec 3<>/dev/tcp/ollama/8085; "
    r'printf "GET /hearth-requests HTTP/1.0\r\n\r\n" >&3; sed "1,/^.$/d" <&3'
    "'"
)
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
    served: Path

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


Gateway = Callable[..., Httpd]


@pytest.fixture
def gateway(house: House, httpd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Starts the gateway's httpd, with other settings and files than its own if given."""
    with ExitStack() as stack:

        def start(settings: Settings = house.settings, **files: bytes) -> Httpd:
            keys = tmp_path_factory.mktemp("keys")
            for path in house.keys.iterdir():
                write(keys / path.name, files.get(path.stem, path.read_bytes()))
            web = Httpd(httpd_image, tmp_path_factory.mktemp("gateway"), settings, None, {f"{PREFIX}/conf/tls": keys})
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
    assert house.backend.execute(LIST_REQUESTS).output.split(), "Ollama's health check would see no request"
    stream.close()


def test_no_request_without_the_key_reaches_ollama(house: House, tmp_path: Path) -> None:
    """From any machine that reaches the port: without a certificate, with one of another CA, with a server's."""
    other = create_authority(tmp_path / "other", [], today())
    keys = {
        "none": b"",
        "of another CA": other.issue_for_gateway(today()),
        "of a server": house.authority.issue([house.name], today()),
    }
    before = house.ollama.requests()
    for what, key in keys.items():
        try:
            status = request(house, "GET", "/api/tags", tmp_path, key)
        except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
            continue
        pytest.fail(f"the backend responds with {status} to a client whose key is {what}")
    # Plain HTTP to the same port.
    assert call(f"http://{house.machine.address}:{PORT}", "GET", "/api/tags").status == 400
    assert house.ollama.requests() == before


def test_a_gateway_can_not_change_the_backend(house: House, tmp_path: Path) -> None:
    key = house.authority.issue_for_gateway(today())
    assert request(house, "GET", "/api/tags", tmp_path, key) == 200
    before = house.ollama.requests()
    for path, methods in OLLAMA_MANAGEMENT.items():
        for method in methods:
            assert request(house, method, path, tmp_path, key) == 403, path
    assert request(house, "GET", "/hearth-requests", tmp_path, key) == 403
    assert house.ollama.requests() == before


@pytest.mark.parametrize("file", [pytest.param("ca", marks=pytest.mark.long), "gateway"])
def test_another_local_ca_on_either_side_is_refused(house: House, gateway: Gateway, tmp_path: Path, file: str) -> None:
    other = create_authority(tmp_path / "other", [], today())
    web = gateway(**{file: other.pem if file == "ca" else other.issue_for_gateway(today())})
    before = house.ollama.requests()
    assert call(web.url, "POST", "/api/ollama", PROMPT).status in (500, 502, 503)
    wait_until(lambda: "Health check DISABLING" in web.log(), NOTICED)
    assert house.ollama.requests() == before


def test_a_certificate_for_another_name_is_refused(house: House, gateway: Gateway) -> None:
    served = house.served / "server.pem"
    own = served.read_bytes()
    try:
        write(served, house.authority.issue([backend_name("192.168.1.99")], today()))
        assert house.backend.reload().code == 0
        web = gateway()
        wait_until(lambda: call(web.url, "POST", "/api/ollama", PROMPT).status == 500, NOTICED)
        write(served, own)
        assert house.backend.reload().code == 0
        # A renewed certificate, too, is in use after a reload.
        wait_until(lambda: call(web.url, "POST", "/api/ollama", PROMPT).status == 200, NOTICED)
    finally:
        write(served, own)
        house.backend.reload()


def test_the_health_check_notices_an_ollama_that_is_down(house: House, gateway: Gateway) -> None:
    """The backend's httpd still accepts connections."""
    web = gateway()
    assert call(web.url, "POST", "/api/ollama", PROMPT).status == 200
    house.machine.refuse()
    try:
        wait_until(lambda: web.log().count("Health check DISABLING") >= 2, NOTICED)
    finally:
        house.machine.come_back()
    wait_until(lambda: call(web.url, "POST", "/api/ollama", PROMPT).status == 200, NOTICED)


@pytest.fixture
def plain(parts: artefacts.Paths, tmp_path: Path) -> Iterator[Ollama]:
    """Another backend, without TLS."""
    with MachineOnLan() as machine:
        ollama = Ollama(parts["roots"] / "ollama", tmp_path, parts["models"], machine.address, network=machine.name)
        with ollama:
            yield ollama


def test_an_ollama_that_is_down_costs_one_request(house: House, gateway: Gateway, plain: Ollama) -> None:
    """Its httpd answers with 503, which the gateway can't repeat elsewhere, and nothing more goes there."""
    pool = (*house.settings.ollama_pools["default"], Member(host="plain", url=plain.url))
    web = gateway(house.settings.model_copy(update={"ollama_pools": {"default": pool}}))

    def backends(count: int) -> list[str]:
        # Answered at once, with 404, by the backend that a prompt would go to.
        answers = (call(web.url, "POST", "/api/ollama", PROMPT | {"model": "missing"}) for _ in range(count))
        return ["".join(one.all("x-hearth-backend")) if one.status == 404 else str(one.status) for one in answers]

    wait_until(lambda: set(backends(4)) == {house.machine.address, "plain"}, NOTICED)
    house.machine.refuse()
    try:
        answers = backends(40)
        # The test closes no connection that the backend's httpd has kept, and the request that meets it gets 502.
        assert answers.count("502") <= 1, answers
        assert answers.count("503") <= 1, answers
        assert answers.count("plain") >= 38, answers
        # Quick requests have a balancer of their own.
        quick = [call(web.url, "GET", "/api/tags").status for _ in range(40)]
        assert quick.count(503) <= 1, quick
    finally:
        house.machine.come_back()
    wait_until(lambda: house.machine.address in backends(4), NOTICED)


def request(house: House, method: str, path: str, directory: Path, key: bytes) -> int:
    """The status of a request to the backend's port."""
    context = ssl.create_default_context(cadata=house.authority.pem.decode())
    # The connection goes to the address; httpd's own check of the name has a test of its own.
    context.check_hostname = False
    if key:
        write(directory / "key.pem", key)
        context.load_cert_chain(directory / "key.pem")
    connection = http.client.HTTPSConnection(house.machine.address, PORT, timeout=30, context=context)
    try:
        connection.request(method, path, headers={"Content-Length": "0"})
        return connection.getresponse().status
    finally:
        connection.close()
