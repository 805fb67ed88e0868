"""TLS on a deployed host: switched on, renewed, taken back, and its keys nowhere but where they belong."""

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
# QEMU's own network shows the guest this machine's loopback under another address.
US, SEEN_AT = "127.0.0.1", "10.0.2.2"
CERTIFICATE, UP = "Stack | Put the certificate", "Stack | Bring the containers up"
CONTAINERS = "sudo docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}' hearth-ollama hearth-httpd"


def forwarded(port: str) -> int:
    """The port on this machine's loopback that leads to one of the guest's."""
    return lab.status(must_run=True).forwards[port]


def address() -> str:
    """Where the guest's ports are found."""
    return urlsplit(url()).hostname or ""


def client(trust: Path, name: str = NAME) -> Client:
    return Client(address(), name, forwarded("85"), forwarded("443"), trust)


class Home:
    """The lab's host with a certificate of a local authority."""

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
def home(deployed: None, tmp_path: Path) -> Home:  # noqa: ARG001 - in this order: the machine is put back first
    return Home(tmp_path)


def answers(one: Client, version: str = "2") -> dict[str, Any]:
    """The last line of an answer over TLS."""
    told = one.call(R, "POST", version, {"model": "tinyllama", "prompt": "go", "options": {"num_predict": 8}})
    assert told.status == 200, told
    last: dict[str, Any] = json.loads(told.body.splitlines()[-1])
    return last


def test_local_ca_is_created_once_and_tls_is_enabled(home: Home) -> None:
    assert CERTIFICATE in home.first.changed
    assert "a local authority was made" in home.first.output
    for version in VERSIONS:
        assert b"<title>" in home.client.call("/", version=version).body
        assert answers(home.client, version)["done"] is True
    plain = home.client.call(R, "POST", "1.1", b"{}", scheme="http")
    assert (plain.status, plain.all("location")) == (308, [f"https://{NAME}{R}"])
    assert call(url(), "GET", "/hearth-ca.crt").body == home.authority.pem
    assert names_of(home.client.handshake()[2]) == {NAME, address()}
    wait_until(
        lambda: on_guest("sudo docker inspect -f '{{.State.Health.Status}}' hearth-httpd") == "healthy", 60, "healthy"
    )
    before = (home.directory / "authority.pem").read_bytes()
    again = deployed_with(*home.settings)
    assert again.changed == ()
    assert (home.directory / "authority.pem").read_bytes() == before
    print(f"\nTLS switched on in {home.first.seconds:.1f} s; then quiet in {again.seconds:.1f} s")


@pytest.mark.usefixtures("home")
def test_only_declared_ports_are_open_with_tls() -> None:
    attach()
    found = scan("foreign")
    print(f"\nopen with TLS: {sorted(found)}")
    assert found == others() | {85, 443}


def test_tls_key_is_only_readable_for_root_and_httpd(home: Home) -> None:
    pair = on_guest(f"sudo cat {TLS_LIVE}/server.pem")
    line = pair.partition("-----BEGIN PRIVATE KEY-----\n")[2].splitlines()[0]
    assert on_guest(f"stat -c %a:%u {ROOT}/tls") == "700:0"
    assert on_guest(f"sudo stat -c %a:%u:%g {TLS_LIVE}/server.pem") == "640:0:33"
    assert "denied" in on_guest(
        f"sudo setpriv --reuid=33 --regid=33 --clear-groups cat {TLS_LIVE}/server.pem 2>&1", check=False
    )
    assert line not in home.first.output
    for place in (
        "sudo docker inspect hearth-httpd hearth-ollama",
        "sudo docker logs hearth-httpd 2>&1",
        "sudo journalctl --no-pager -b",
        "sudo sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ' 2>/dev/null | tr '\\0' ' '",
    ):
        assert line not in on_guest(place, timeout=300), place
    assert files_with(line) == [f"{TLS_LIVE}/server.pem"]


def test_expiring_certificate_is_reported_and_renewed_during_a_response(home: Home) -> None:
    old = home.authority.issue([NAME, address()], today() - timedelta(days=380))
    digest = hashlib.sha256(old).hexdigest()
    coded = base64.b64encode(old).decode()
    on_guest(
        f"echo {coded} | base64 -d | sudo tee {TLS_LIVE}/server.pem >/dev/null; "
        f"echo '{digest}  server.pem' | sudo tee {TLS_LIVE}/server.sha256 >/dev/null; "
        "sudo docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful"
    )
    before = fingerprint(parse_chain(old, "old")[0])
    wait_until(lambda: fingerprint(home.client.handshake()[2]) == before, 30, "the old certificate is in force")
    looked = drift(*(word for one in home.settings for word in ("--data", one)))
    assert looked.returncode == 1
    assert "ends in" in looked.stdout
    containers = on_guest(CONTAINERS)
    asked = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 400, "num_thread": 1}}
    stream = home.client.stream(R, asked)
    assert len(stream.lines(2)) == 2
    renewal = deployed_with(*home.settings)
    assert renewal.changed == (CERTIFICATE, UP)
    shown = home.client.handshake()[2]
    assert fingerprint(shown) != before
    assert days_left(shown, today()) > 390
    rest = stream.lines()
    assert stream.end() == 0
    assert json.loads(rest[-1].text)["done"] is True
    assert on_guest(CONTAINERS) == containers, "no container was made anew"
    assert deployed_with(*home.settings).changed == ()


def test_deploy_from_another_computer_without_the_ca_changes_nothing(home: Home, tmp_path: Path) -> None:
    elsewhere = [*home.settings[:2], f"proxy_tls_ca={json.dumps(str(tmp_path / 'elsewhere'))}"]
    assert deployed_with(*elsewhere).changed == ()
    assert not (tmp_path / "elsewhere").exists()
    other = deploy(elsewhere[0], f"proxy_tls_names={json.dumps([NAME])}", elsewhere[2])
    assert other.code != 0
    assert "is not on this computer" in other.output
    assert home.client.call("/").status == 200


def test_tls_is_disabled_and_rolled_back_to(home: Home) -> None:
    deployed_with()
    assert b"<title>" in call(url(), "GET", "/").body
    with pytest.raises((OSError, ssl.SSLError)):
        home.client.handshake()
    back = pyinfra("deploys/rollback.py")
    assert back.code == 0, back.output
    assert home.client.call("/").status == 200
    assert call(url(), "GET", "/").status == 308


def test_mismatched_certificate_and_key_change_nothing(home: Home, tmp_path: Path) -> None:
    pairs = [home.authority.issue([NAME], today()).partition(b"-----BEGIN PRIVATE KEY-----") for _ in range(2)]
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
    assert fingerprint(home.client.handshake()[2]) == fingerprint(parse_chain(pairs[0][0], "own")[0])


def test_tls_works_after_a_restart_of_the_engine(home: Home) -> None:
    on_guest("sudo systemctl restart docker")
    wait_until(lambda: home.client.call("/").status == 200, 120, "the page comes over TLS")


def test_uninstall_removes_the_keys(home: Home) -> None:
    run = pyinfra("deploys/uninstall.py", *home.settings)
    assert run.code == 0, run.output
    assert on_guest(f"sudo ls -A {ROOT} 2>/dev/null", check=False) == ""


@pytest.fixture
def pebble(tmp_path: Path) -> Iterator[Pebble]:
    """Let's Encrypt's test server on this machine, where the guest reaches it, and whose name leads to the guest."""
    with Stages() as stages:
        parts = artefacts.build(("roots", "pebble"), stages)
    (tmp_path / "pebble").mkdir()
    ports = (forwarded("85"), forwarded("443"))
    image, program, directory = parts["roots"] / "httpd", parts["pebble"] / "pebble", tmp_path / "pebble"
    known = {"chat.example.org": address()}
    with Pebble(image, program, directory, known, ports, address=US, seen_at=SEEN_AT) as server:
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

    def is_vouched_for() -> bool:
        try:
            return names_of(one.handshake()[2]) == {"chat.example.org"}
        except ssl.SSLError:
            return False

    wait_until(is_vouched_for, 120, "a certificate of the authority's is in force")
    assert answers(one)["done"] is True
    assert on_guest(f"sudo stat -c %a:%u {ROOT}/acme {ROOT}/acme/store").split() == ["700:0", "700:33"]
    again = deployed_with(*settings)
    assert again.changed == ()
    restarts = on_guest("sudo docker logs hearth-httpd 2>&1 | grep -c 'Doing graceful restart'")
    assert int(restarts) <= 2, "one for the certificate, and one that the first deploy may have asked for"
    print(f"\nACME by {challenge} switched on in {first.seconds:.1f} s")
