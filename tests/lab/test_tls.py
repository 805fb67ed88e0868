"""TLS on a deployed host: enabled, renewed, rolled back, with keys only in their files."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import lab
from hearth.paths import ROOT, TLS_LIVE
from hearth.tls.certificate import days_left, fingerprint, names_of, parse_chain, today
from hearth.tls.local_ca import Authority, load_authority
from lab import artefacts
from lab.progress import Stages
from tests.acceptance.api import call
from tests.lab.files_with import files_with
from tests.lab.machine import deploy, deployed_with, listed_on_guest, on_guest, pyinfra, url, wait_until
from tests.lab.outside import attach, others, scan
from tests.lab.test_drift_command import drift
from tests.proxy.pebble import Pebble
from tests.proxy.tls_client import VERSIONS, Client

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

NAME = "hearth-lab.local"
R = "/api/ollama"
# This machine's loopback, and its address in the guest.
LOOPBACK, ADDRESS_IN_GUEST = "127.0.0.1", "10.0.2.2"
CERTIFICATE, UP = "Stack | Install the certificate", "Stack | Start the containers"
CONTAINERS = "sudo docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' hearth-ollama hearth-httpd"


def forwarded(port: str) -> int:
    """The port on this machine's loopback that is forwarded to the guest's port."""
    return lab.status(must_run=True).forwards[port]


def address() -> str:
    """The address of the guest's forwarded ports."""
    return urlsplit(url()).hostname or ""


def client(trust: Path, name: str = NAME) -> Client:
    return Client(address(), name, forwarded("85"), forwarded("443"), trust)


class TlsHost:
    """The lab's host with a certificate of a local CA."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "ca"
        self.settings = [
            'proxy_tls="local-ca"',
            f"proxy_tls_names={json.dumps([NAME, address()])}",
            f"proxy_tls_ca={json.dumps(str(self.directory))}",
        ]
        self.first = deployed_with(*self.settings)
        self.client = client(self.directory / "hearth-ca.crt")

    @property
    def authority(self) -> Authority:
        found = load_authority(self.directory)
        assert found is not None
        return found


@pytest.fixture
def host(deployed: None, tmp_path: Path) -> TlsHost:  # noqa: ARG001 - in this order: restored first
    return TlsHost(tmp_path)


def last_line(one: Client, version: str = "2") -> dict[str, Any]:
    """The last line of a response over TLS."""
    response = one.call(R, "POST", version, {"model": "tinyllama", "prompt": "go", "options": {"num_predict": 8}})
    assert response.status == 200, response
    last: dict[str, Any] = json.loads(response.body.splitlines()[-1])
    return last


def test_local_ca_is_created_once_and_tls_is_enabled(host: TlsHost) -> None:
    assert CERTIFICATE in host.first.changed
    assert "created a local CA" in host.first.output
    for version in VERSIONS:
        assert b"<title>" in host.client.call("/", version=version).body
        assert last_line(host.client, version)["done"] is True
    plain = host.client.call(R, "POST", "1.1", b"{}", scheme="http")
    assert (plain.status, plain.all("location")) == (308, [f"https://{NAME}{R}"])
    assert call(url(), "GET", "/hearth-ca.crt").body == host.authority.pem
    assert names_of(host.client.handshake()[2]) == {NAME, address()}
    wait_until(
        lambda: on_guest("sudo docker inspect -f '{{.State.Health.Status}}' hearth-httpd") == "healthy", 60, "healthy"
    )
    before = (host.directory / "authority.pem").read_bytes()
    again = deployed_with(*host.settings)
    assert again.changed == ()
    assert (host.directory / "authority.pem").read_bytes() == before
    print(f"\nTLS enabled in {host.first.seconds:.1f} s; then nothing to do in {again.seconds:.1f} s")


@pytest.mark.usefixtures("host")
def test_only_declared_ports_are_open_with_tls() -> None:
    attach()
    found = scan("unlisted")
    print(f"\nopen with TLS: {sorted(found)}")
    assert found == others() | {85, 443}


def test_tls_key_is_only_readable_for_root_and_httpd(host: TlsHost) -> None:
    pair = on_guest(f"sudo cat {TLS_LIVE}/server.pem")
    line = pair.partition("-----BEGIN PRIVATE KEY-----\n")[2].splitlines()[0]
    assert on_guest(f"stat -c %a:%u {ROOT}/tls") == "700:0"
    assert on_guest(f"sudo stat -c %a:%u:%g {TLS_LIVE}/server.pem") == "640:0:33"
    assert "denied" in on_guest(
        f"sudo setpriv --reuid=33 --regid=33 --clear-groups cat {TLS_LIVE}/server.pem 2>&1", check=False
    )
    assert line not in host.first.output
    for command in (
        "sudo docker inspect hearth-httpd hearth-ollama",
        "sudo docker logs hearth-httpd 2>&1",
        "sudo journalctl --no-pager -b",
        "sudo sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ' 2>/dev/null | tr '\\0' ' '",
    ):
        assert line not in on_guest(command, timeout=300), command
    assert files_with(line) == [f"{TLS_LIVE}/server.pem"]


def test_expiring_certificate_is_reported_and_renewed_during_a_response(host: TlsHost) -> None:
    old = host.authority.issue([NAME, address()], today() - timedelta(days=380))
    digest = hashlib.sha256(old).hexdigest()
    encoded = base64.b64encode(old).decode()
    on_guest(
        f"echo {encoded} | base64 -d | sudo tee {TLS_LIVE}/server.pem >/dev/null; "
        f"echo '{digest}  server.pem' | sudo tee {TLS_LIVE}/server.sha256 >/dev/null; "
        "sudo docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful"
    )
    before = fingerprint(parse_chain(old, "old")[0])
    wait_until(lambda: fingerprint(host.client.handshake()[2]) == before, 30, "the old certificate is in force")
    report = drift(*(word for one in host.settings for word in ("--data", one)))
    assert report.returncode == 1
    assert "expires in" in report.stdout
    containers = on_guest(CONTAINERS)
    body = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 400, "num_thread": 1}}
    stream = host.client.stream(R, body)
    assert len(stream.lines(2)) == 2
    renewal = deployed_with(*host.settings)
    assert renewal.changed == (CERTIFICATE, UP)
    shown = host.client.handshake()[2]
    assert fingerprint(shown) != before
    assert days_left(shown, today()) > 390
    rest = stream.lines()
    assert stream.end() == 0
    assert json.loads(rest[-1].text)["done"] is True
    assert on_guest(CONTAINERS) == containers, "no container was recreated"
    assert deployed_with(*host.settings).changed == ()


def test_deploy_from_another_computer_without_the_ca_changes_nothing(host: TlsHost, tmp_path: Path) -> None:
    elsewhere = [*host.settings[:2], f"proxy_tls_ca={json.dumps(str(tmp_path / 'elsewhere'))}"]
    assert deployed_with(*elsewhere).changed == ()
    assert not (tmp_path / "elsewhere").exists()
    other = deploy(elsewhere[0], f"proxy_tls_names={json.dumps([NAME])}", elsewhere[2])
    assert other.code != 0
    assert "is not on this computer" in other.output
    assert host.client.call("/").status == 200


def test_tls_is_disabled_and_rolled_back_to(host: TlsHost) -> None:
    deployed_with()
    assert b"<title>" in call(url(), "GET", "/").body
    with pytest.raises((OSError, ssl.SSLError)):
        host.client.handshake()
    back = pyinfra("deploys/rollback.py")
    assert back.code == 0, back.output
    assert host.client.call("/").status == 200
    assert call(url(), "GET", "/").status == 308


def test_mismatched_certificate_and_key_change_nothing(host: TlsHost, tmp_path: Path) -> None:
    pairs = [host.authority.issue([NAME], today()).partition(b"-----BEGIN PRIVATE KEY-----") for _ in range(2)]
    (tmp_path / "pi.pem").write_bytes(pairs[0][0])
    (tmp_path / "pi.key").touch(0o600)
    (tmp_path / "pi.key").write_bytes(pairs[1][1] + pairs[1][2])
    own = [
        'proxy_tls="files"',
        f"proxy_tls_certificate={json.dumps(str(tmp_path / 'pi.pem'))}",
        f"proxy_tls_key={json.dumps({'file': str(tmp_path / 'pi.key')})}",
    ]
    before = listed_on_guest(f"sudo find {ROOT} -type f -exec sha256sum {{}} +")
    run = deploy(*own)
    assert run.code != 0
    assert "is not the key of the first certificate" in run.output
    assert listed_on_guest(f"sudo find {ROOT} -type f -exec sha256sum {{}} +") == before
    (tmp_path / "pi.key").write_bytes(pairs[0][1] + pairs[0][2])
    assert CERTIFICATE in deployed_with(*own).changed
    assert fingerprint(host.client.handshake()[2]) == fingerprint(parse_chain(pairs[0][0], "own")[0])


def test_tls_works_after_a_restart_of_the_engine(host: TlsHost) -> None:
    on_guest("sudo systemctl restart docker")
    wait_until(lambda: host.client.call("/").status == 200, 120, "the page loads over TLS")


def test_uninstall_removes_the_keys(host: TlsHost) -> None:
    run = pyinfra("deploys/uninstall.py", *host.settings)
    assert run.code == 0, run.output
    assert on_guest(f"sudo ls -A {ROOT} 2>/dev/null", check=False) == ""


@pytest.fixture
def pebble(tmp_path: Path) -> Iterator[Pebble]:
    """Let's Encrypt's test server on this machine, reachable from the guest; it resolves the name to the guest."""
    with Stages() as stages:
        parts = artefacts.build(("roots", "pebble"), stages)
    (tmp_path / "pebble").mkdir()
    ports = (forwarded("85"), forwarded("443"))
    image, program, directory = parts["roots"] / "httpd", parts["pebble"] / "pebble", tmp_path / "pebble"
    known = {"chat.example.org": address()}
    with Pebble(image, program, directory, known, ports, address=LOOPBACK, public_address=ADDRESS_IN_GUEST) as server:
        yield server


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_public_name_gets_a_certificate_by_acme(pebble: Pebble, tmp_path: Path, challenge: str) -> None:
    settings = [
        'proxy_tls="acme"',
        'proxy_tls_names=["chat.example.org"]',
        'proxy_acme_terms="accepted"',
        'proxy_acme_contact="anna@example.org"',
        f"proxy_acme_directory={json.dumps(pebble.url)}",
        f"proxy_acme_trust={json.dumps(str(pebble.trust))}",
        f"proxy_acme_challenges={json.dumps([challenge])}",
    ]
    first = deployed_with(*settings)
    trust = tmp_path / "root.pem"
    trust.write_text(pebble.root())
    one = client(trust, "chat.example.org")

    def has_certificate() -> bool:
        try:
            return names_of(one.handshake()[2]) == {"chat.example.org"}
        except ssl.SSLError:
            return False

    wait_until(has_certificate, 120, "a certificate of the CA is in force")
    assert last_line(one)["done"] is True
    assert on_guest(f"sudo stat -c %a:%u {ROOT}/acme {ROOT}/acme/store").split() == ["700:0", "700:33"]
    again = deployed_with(*settings)
    assert again.changed == ()
    restarts = on_guest("sudo docker logs hearth-httpd 2>&1 | grep -c 'Doing graceful restart'")
    assert int(restarts) <= 2, "one for the certificate, and possibly one for the first deploy"
    print(f"\nACME by {challenge} enabled in {first.seconds:.1f} s")
