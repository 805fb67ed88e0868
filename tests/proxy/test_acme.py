"""Certificates by ACME: the real httpd with mod_md, and Pebble, which really validates domain ownership."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hearth.tls.certificate import fingerprint, names_of
from lab import artefacts
from lab.progress import Stages
from tests.proxy.address import free_address
from tests.proxy.conftest import Serve
from tests.proxy.httpd import OLLAMA_PORT, PREFIX, Httpd
from tests.proxy.pebble import Pebble
from tests.proxy.tls_client import Client

NAMES = ["chat.example.org", "www.chat.example.org"]
PORT, TLS_PORT = 8085, 8443


@pytest.fixture(scope="module")
def program() -> Path:
    """The built Pebble."""
    with Stages() as stages:
        return artefacts.build(("pebble",), stages)["pebble"] / "pebble"


class PublicHost:
    """A host whose name the CA can validate."""

    def __init__(self, serve: Serve, pebble: Pebble, address: str, directory: Path, challenge: str) -> None:
        self.pebble = pebble
        live, self.store = directory / "live", directory / "store"
        live.mkdir()
        self.store.mkdir()
        self.store.chmod(0o777)  # the test may not be root; on a host only httpd has access
        (live / "acme-trust.pem").write_bytes(pebble.trust.read_bytes())
        self.web: Httpd = serve(
            address=address,
            volumes={f"{PREFIX}/conf/tls": live, f"{PREFIX}/acme": self.store},
            proxy_port=PORT,
            proxy_tls_port=TLS_PORT,
            proxy_tls="acme",
            proxy_tls_names=NAMES,
            proxy_acme_directory=pebble.url,
            proxy_acme_trust="~/trust.pem",
            proxy_acme_terms="accepted",
            proxy_acme_contact="anna@example.org",
            proxy_acme_challenges=[challenge],
        )
        trust = directory / "root.pem"
        trust.write_text(pebble.root())
        self.client = Client(address, NAMES[0], PORT, TLS_PORT, trust)

    def shown(self) -> str:
        """Fingerprint of the CA's certificate in use; "" if there is none yet."""
        try:
            return fingerprint(self.client.handshake()[2])
        except ssl.SSLCertVerificationError:
            return ""

    def log(self) -> str:
        """httpd's log without access lines."""
        return "\n".join(line for line in self.web.log().splitlines() if line.startswith("["))

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Poll until a condition is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.log()}"
            time.sleep(0.1)


@pytest.fixture
def public(
    request: pytest.FixtureRequest, serve: Serve, httpd_image: Path, program: Path, tmp_path: Path
) -> Iterator[PublicHost]:
    """Parameters: the challenge, and for how many seconds certificates are valid."""
    challenge, seconds = request.param
    address = free_address(PORT, TLS_PORT, OLLAMA_PORT)
    for name in ("pebble", "host"):
        (tmp_path / name).mkdir()
    known = dict.fromkeys(NAMES, address)
    with Pebble(httpd_image, program, tmp_path / "pebble", known, (PORT, TLS_PORT), seconds) as pebble:
        yield PublicHost(serve, pebble, address, tmp_path / "host", challenge)


@pytest.mark.parametrize("public", [("http-01", 86400), ("tls-alpn-01", 86400)], indirect=True)
def test_certificate_is_obtained_and_activated_automatically(public: PublicHost) -> None:
    public.wait(public.shown, 60, "a certificate of the CA")
    assert names_of(public.client.handshake()[2]) == set(NAMES)
    assert public.client.call("/").status == 200
    answer = public.client.call("/api/ollama", "POST", "1.1", b"{}", scheme="http")
    assert answer.all("location") == [f"https://{NAMES[0]}:{TLS_PORT}/api/ollama"]
    for path in ("/.httpd/certificate-status", "/md-status", "/server-status"):
        assert public.client.call(path).status == 404
    # On a host, only root can enter the directory above the store.
    assert (public.store / "domains" / NAMES[0] / "privkey.secp256r1.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("public", [("tls-alpn-01", 30)], indirect=True)
def test_certificate_is_renewed_without_an_outage(public: PublicHost) -> None:
    """A certificate of 30 s is due after 20. httpd checks every second instead of twice a day, and does not use ARI."""
    with (public.web.tree / "httpd/httpd.conf").open("a") as conf:
        conf.write("MDRenewViaARI off\nMDCheckInterval 1s\n")
    public.wait(lambda: public.web.reload().code == 0, 10, "httpd wrote its process id")
    public.wait(public.shown, 60, "a certificate of the CA")
    first = public.shown()
    failures: list[str] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                if (status := public.client.call("/", version="1.1").status) != 200:
                    failures.append(f"status {status}")
            except AssertionError as error:
                failures.append(str(error))
            time.sleep(0.05)

    client = threading.Thread(target=visit)
    client.start()
    try:
        public.wait(lambda: public.shown() not in ("", first), 90, "a renewed certificate")
        time.sleep(1)
    finally:
        over.set()
        client.join()
    assert failures == []
    certificates = public.log().count("AH10059")
    assert public.log().count("Doing graceful restart") - 1 == certificates, "one reload for each certificate"
