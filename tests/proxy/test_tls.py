"""TLS with the real httpd."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hearth.render.httpd_conf import render_httpd_conf
from hearth.tls.certificate import fingerprint, general_name, today
from hearth.tls.local_ca import Authority, create_authority
from tests.acceptance.api import basic, bearer, call
from tests.lab.machine import wait_until
from tests.proxy.address import free_address
from tests.proxy.conftest import Serve
from tests.proxy.container import Container
from tests.proxy.credentials import ANNA, KEY, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.test_stop import main_process
from tests.proxy.tls_client import VERSIONS, Client
from tests.support.shipped import shipped_settings

NAMES = ["pi.local", "pi", "192.168.1.189"]
PROMPT = {"model": "tinyllama", "prompt": "hi"}
ROUTE = "/api/ollama"


class Site:
    """An httpd with a certificate of a local CA, and a client that trusts it."""

    def __init__(
        self,
        serve: Serve,
        ollama: Ollama,
        directory: Path,
        names: Sequence[str] | None = None,
        volumes: Mapping[str, Path] | None = None,
        **values: Any,
    ) -> None:
        self.names = list(names or NAMES)
        self.authority: Authority = create_authority(directory / "ca", self.names, today())
        self.live = directory / "live"
        self.live.mkdir()
        (self.live / "ca.crt").write_bytes(self.authority.pem)
        self.renew()
        self.web: Httpd = serve(
            upstream=ollama.address,
            volumes={f"{PREFIX}/conf/tls": self.live} | dict(volumes or {}),
            **{"proxy_port": 8085, "proxy_tls_port": 8443, "proxy_tls": "local-ca", "proxy_tls_names": self.names}
            | values,
        )
        self.client = Client(self.web.address, "pi.local", 8085, 8443, directory / "ca/hearth-ca.crt")

    def renew(self) -> None:
        """Install a certificate like a deploy, with one rename."""
        draft = self.live / "draft"
        draft.write_bytes(self.authority.issue(self.names, today()))
        draft.chmod(0o644)  # so httpd can read it without root
        draft.rename(self.live / "server.pem")


@pytest.fixture(scope="module")
def site(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """For tests that do not change it."""
    directory = tmp_path_factory.mktemp("site")
    return Site(serve_module, ollama, directory, allowed_origins=["https://listed.example"], proxy_max_body="64k")


@pytest.fixture
def no_requests(ollama: Ollama) -> Iterator[None]:
    """No request of the test reaches Ollama."""
    before = ollama.requests()
    yield
    time.sleep(0.03)  # a request is logged when it ends
    assert ollama.requests() == before


ACME = {
    "proxy_tls": "acme",
    "proxy_tls_names": ["chat.example.org", "www.example.org"],
    "proxy_acme_terms": "accepted",
    "proxy_acme_contact": "anna@example.org",
}


@pytest.mark.parametrize(
    "values",
    [
        ACME,
        ACME | {"proxy_acme_trust": "~/root.pem", "proxy_acme_challenges": ["http-01"]},
        {"proxy_tls": "local-ca", "proxy_tls_names": ["fd00::5", "pi", "192.168.1.189"]},
        {"proxy_tls": "local-ca", "proxy_tls_names": ["fd00::5"], "proxy_tls_hsts_days": 365},
        {
            "proxy_tls": "files",
            "proxy_tls_certificate": "~/a",
            "proxy_tls_key": {"file": "~/b"},
            "proxy_tls_port": 8443,
        },
    ],
)
def test_httpd_accepts_each_tls_configuration(httpd_image: Path, tmp_path: Path, values: Any) -> None:
    """As in the container of a deploy's test: the files, as www-data, without writable logs or store."""
    settings = shipped_settings(**values)
    conf, live = tmp_path / "conf", tmp_path / "live"
    conf.mkdir()
    (conf / "httpd.conf").write_text(render_httpd_conf(settings))
    mounts: dict[str, Path | str] = {f"{PREFIX}/conf/hearth": conf}
    if settings.has_tls_files:
        authority = create_authority(tmp_path / "ca", [], today())
        live.mkdir()
        for name in ("ca.crt", "acme-trust.pem"):
            (live / name).write_bytes(authority.pem)
        (live / "server.pem").write_bytes(authority.issue(["pi.local"], today()))
        mounts[f"{PREFIX}/conf/tls"] = live
    with Container(
        httpd_image, tmp_path, "trial", ("sleep", "60"), mounts, {}, lambda: True, "www-data", True
    ) as trial:
        done = trial.execute(f"httpd -t -f {PREFIX}/conf/hearth/httpd.conf")
    assert (done.code, done.output) == (0, "Syntax OK\n")


# --- protocols ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_page_over_both_http_versions(site: Site, version: str) -> None:
    page = site.client.call("/", version=version)
    assert (page.status, page.all(":version")) == (200, [version])
    assert b"<title>" in page.body
    assert page.all("strict-transport-security") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_response_streams_over_both_http_versions(site: Site, version: str) -> None:
    stream = site.client.stream(ROUTE, {"model": "tinystory", "prompt": "hi", "options": {"num_predict": 20}}, version)
    lines = stream.lines()
    assert stream.end() == 0
    last = json.loads(lines[-1].text)
    assert last["done"] is True
    took = last["eval_duration"] / 1e9
    spread = lines[-1].arrived - lines[0].arrived
    assert len(lines) > 10
    assert spread > 0.5 * took, f"{len(lines)} lines within {spread:.3f} s, though generating them took {took:.3f} s"


def test_a_connection_is_kept_however_many_requests_it_had(site: Site) -> None:
    connection = http.client.HTTPConnection(site.web.address, 8443, timeout=10)
    connection.sock = site.client.context().wrap_socket(
        socket.create_connection((site.web.address, 8443), timeout=10), server_hostname=site.client.name
    )
    first = connection.sock
    for _ in range(150):  # httpd's default limit is 100
        connection.request("GET", "/api/version", headers={"Host": f"{site.client.name}:8443"})
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
        assert connection.sock is first
    connection.close()


def test_http2_costs_few_threads_until_it_is_used(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    web = Site(serve, ollama, tmp_path, proxy_max_streams=4).web
    limit = re.search(r"^ThreadsPerChild (\d+)$", render_httpd_conf(web.settings), re.MULTILINE)
    assert limit
    main = main_process(web)
    [worker] = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    assert int(limit[1]) < len(list(Path(f"/proc/{worker}/task").iterdir())) < int(limit[1]) + 32


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_protocols_are_refused(site: Site, old: ssl.TLSVersion) -> None:
    context = site.client.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = old
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version|unsupported protocol"):
        site.client.handshake(context)


@pytest.mark.parametrize("weak", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(site: Site, weak: str) -> None:
    context = site.client.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{weak}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
        site.client.handshake(context)


def test_modern_protocols_are_used(site: Site) -> None:
    assert site.client.handshake()[0] == "TLSv1.3"
    context = site.client.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    version, cipher, _ = site.client.handshake(context)
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-ECDSA-")
    assert cipher.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305"))


@pytest.mark.parametrize("name", NAMES)
def test_certificate_covers_every_name(site: Site, name: str) -> None:
    site.client.handshake(name=name)


# --- http:// --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_requests")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/api/ollama", "/chat.js?a=b%20c&d", "/no%20such"])
def test_plain_http_redirects_and_keeps_the_method(site: Site, method: str, path: str) -> None:
    body = b"{}" if method == "POST" else None
    answer = site.client.call(path, method, "1.1", body, scheme="http")
    assert answer.status == 308
    assert answer.all("location") == [f"https://pi.local:8443{path}"]
    assert answer.all("cache-control") == ["no-store"], "otherwise browsers remember the redirect"


def test_redirected_prompt_is_answered(site: Site) -> None:
    answer = site.client.call(ROUTE, "POST", "1.1", PROMPT, scheme="http", extra=["--location"])
    assert answer.status == 308
    assert b" 200 " in answer.body
    assert b'"done":true' in answer.body


@pytest.mark.parametrize("host", ["192.168.1.189:8085", "[::1]:8085", "pi"])
def test_redirect_keeps_the_host_name(site: Site, host: str) -> None:
    answer = site.client.call("/", scheme="http", version="1.1", headers={"Host": host})
    assert answer.all("location") == [f"https://{host.removesuffix(':8085')}:8443/"]


@pytest.mark.usefixtures("no_requests")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["evil.example", "pi.local.evil.example", "localhost.evil.example", "xlocalhost.y"])
def test_unknown_names_are_refused(site: Site, scheme: str, host: str) -> None:
    answer = site.client.call("/", version="1.1", scheme=scheme, headers={"Host": host})
    assert (answer.status, answer.all("location")) == (421, [])


@pytest.mark.usefixtures("no_requests")
def test_cors_preflight_is_refused_and_not_redirected(site: Site) -> None:
    cors = {"Origin": "https://listed.example", "Access-Control-Request-Method": "POST"}
    answer = site.client.call(ROUTE, "OPTIONS", "1.1", scheme="http", headers=cors)
    assert (answer.status, answer.all("location")) == (403, [])
    assert "https" in answer.json()["error"]


def test_container_itself_can_use_plain_http_with_the_same_rules(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """For its health check and the test of a release: requests to 127.0.0.1, which only the container can send."""
    site = Site(serve, ollama, tmp_path)
    port = 20000 + int(site.web.address.rpartition(".")[2])
    conf = site.web.tree / "httpd/httpd.conf"
    conf.write_text(
        conf.read_text().replace("<VirtualHost *:8085>", f"<VirtualHost *:8085 *:{port}>")
        + f"Listen 127.0.0.1:{port}\n"
    )
    assert site.web.reload().code == 0
    inside = f"http://127.0.0.1:{port}"
    wait_until(lambda: call(inside, "GET", "/").status == 200, 10, "the reload")
    before = ollama.requests()
    unlisted = {"Origin": "https://evil.example"}
    assert call(inside, "POST", ROUTE, PROMPT, {"Host": "localhost"} | unlisted).status == 403
    assert call(inside, "POST", ROUTE, b"{}", {"Host": "localhost", "Transfer-Encoding": "chunked"}).status == 411
    assert call(inside, "GET", "/", headers={"Host": "evil.example"}).status == 421
    assert call(inside, "DELETE", "/api/delete", headers={"Host": "localhost"}).status in (404, 405)
    assert ollama.requests() == before
    assert call(inside, "POST", ROUTE, PROMPT, {"Host": "localhost"}).status == 200
    for host in ("localhost", "127.0.0.1"):
        answer = site.client.call("/", version="1.1", scheme="http", headers={"Host": host})
        assert (answer.status, answer.all("location")) == (308, [f"https://{host}:8443/"]), "only claims to be local"


def test_ca_certificate_is_served_and_the_key_is_not(site: Site) -> None:
    for scheme in ("http", "https"):
        answer = site.client.call("/hearth-ca.crt", version="1.1", scheme=scheme)
        assert (answer.status, answer.body) == (200, site.authority.pem)
        assert answer.all("content-type") == ["application/x-x509-ca-cert"]
    for path in ("/server.pem", "/hearth-ca.crt/../server.pem", "/hearth-ca.crt/server.pem", "/tls/server.pem"):
        assert site.client.call(path, version="1.1").status in (400, 403, 404)


# --- proxy rules over TLS -------------------------------------------------------------------------


@pytest.mark.usefixtures("no_requests")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (403, "POST", ROUTE, b"{}", {"Origin": "https://evil.example"}),
        # A page that an attacker in the middle could have created.
        (403, "POST", ROUTE, b"{}", {"Origin": "http://pi.local:8443"}),
        (403, "POST", "//api/./ollama", b"{}", {"Origin": "https://evil.example"}),
        (403, "POST", ROUTE, b"{}", {"Origin": "null"}),
        (204, "OPTIONS", ROUTE, None, {"Origin": "https://evil.example"}),
        (405, "DELETE", ROUTE, None, {}),
        (405, "PUT", ROUTE, b"{}", {}),
        (411, "POST", ROUTE, None, {}),
        (404, "GET", "/api/ps", None, {}),
        (404, "POST", "/api/pull", b"{}", {}),
        (404, "DELETE", "/api/delete", b"{}", {}),
        (404, "POST", "/v1/embeddings", b"{}", {}),
        (404, "GET", "/.well-known/acme-challenge/x", None, {}),
    ],
)
def test_proxy_rules_hold_over_both_http_versions(
    site: Site,
    version: str,
    status: int,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
) -> None:
    answer = site.client.call(path, method, version, body, headers)
    assert answer.status == status, answer
    assert answer.all(":version") == [version]
    assert answer.all("access-control-allow-origin") == []


@pytest.mark.usefixtures("no_requests")
@pytest.mark.parametrize("version", VERSIONS)
def test_oversized_body_is_refused(site: Site, version: str) -> None:
    try:
        assert site.client.call(ROUTE, "POST", version, b"x" * 65537).status == 413
    except AssertionError:  # over HTTP/2 the stream may end while curl still sends, and then curl shows no answer
        assert version == "2"
    spoken = "2.0" if version == "2" else version
    # httpd writes the line after the response, on a busy machine noticeably later
    wait_until(lambda: f'"POST {ROUTE} HTTP/{spoken}" 413' in site.web.log(), 10, "the line in the log")


@pytest.mark.parametrize("version", VERSIONS)
def test_own_and_listed_origins_are_allowed(site: Site, version: str) -> None:
    for origin in ("https://pi.local:8443", "https://listed.example"):
        answer = site.client.call(ROUTE, "POST", version, PROMPT, {"Origin": origin})
        assert answer.status == 200
        assert answer.all("access-control-allow-origin") == ([origin] if "listed" in origin else [])
    preflight = site.client.call(ROUTE, "OPTIONS", version, headers={"Origin": "https://listed.example"})
    assert (preflight.status, preflight.all("access-control-allow-methods")) == (204, ["POST"])


def test_no_password_prompt_over_plain_http(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    secrets = write_files(tmp_path / "secrets")
    site = Site(serve, ollama, tmp_path, volumes={MOUNT: secrets}, **SETTINGS, proxy_access="users or api_keys")
    for path in ("/", ROUTE):
        nobody: dict[str, str] = {}
        for headers in (nobody, basic("anna", ANNA), bearer(KEY)):
            answer = site.client.call(path, version="1.1", scheme="http", headers=headers)
            assert (answer.status, answer.all("www-authenticate")) == (308, [])
    assert site.client.call("/hearth-ca.crt", version="1.1", scheme="http").status == 200, "needed before signing in"
    for version in VERSIONS:
        refused = site.client.call("/", version=version)
        assert (refused.status, refused.all("www-authenticate")) == (401, ['Basic realm="Hearth"'])
        assert site.client.call("/", version=version, headers=basic("anna", ANNA)).status == 200
        assert site.client.call(ROUTE, "POST", version, PROMPT).status == 401
        assert site.client.call(ROUTE, "POST", version, PROMPT, bearer(KEY)).status == 200


def test_doctor_accepts_the_host_and_reports_an_untrusted_certificate(
    serve: Serve, ollama: Ollama, tmp_path: Path
) -> None:
    address = free_address(8085, 8443, 11434)
    site = Site(serve, ollama, tmp_path, [address], address=address)
    without_proxy = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

    def diagnose(url: str, *words: str) -> tuple[int, list[str]]:
        command = [sys.executable, "-m", "hearth.doctor", url, "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=without_proxy, check=False)
        return done.returncode, [finding["id"] for finding in json.loads(done.stdout)["findings"]]

    trust = ("--ca", str(site.client.trust))
    assert diagnose(f"https://{address}:8443", *trust) == (0, [])
    assert diagnose(f"https://{address}:8443", "--no-prompt") == (1, ["certificate-unknown"])
    assert diagnose(f"http://{address}:8085", "--no-prompt") == (1, ["http-to-https"])


def test_hsts_header_is_only_sent_over_tls(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    site = Site(serve, ollama, tmp_path, proxy_tls_hsts_days=2)
    assert site.client.call("/").all("strict-transport-security") == ["max-age=172800"]
    assert site.client.call(ROUTE, "DELETE").all("strict-transport-security") == ["max-age=172800"]
    assert site.client.call("/", scheme="http", version="1.1").all("strict-transport-security") == []


def test_incomplete_handshakes_time_out(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """Twice as many as httpd has threads. Without a timeout for the handshake, they blocked everyone for a minute."""
    site = Site(serve, ollama, tmp_path)
    with contextlib.ExitStack() as stack:
        for first in [b"\x16"] * 60:
            silent = stack.enter_context(socket.create_connection((site.web.address, 8443), timeout=60))
            silent.sendall(first)
        begun = time.monotonic()
        assert site.client.call("/").status == 200
        took = time.monotonic() - begun
    assert took < 20, f"{took:.1f} s"


def test_slow_request_head_is_refused_over_tls(site: Site) -> None:
    context = site.client.context()
    with (
        socket.create_connection((site.web.address, 8443), timeout=40) as plain,
        context.wrap_socket(plain, server_hostname="pi.local") as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: pi.local\r\n")
        begun = time.monotonic()
        answer = slow.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    # RequestReadTimeout gives a head 5 seconds, and one more for each 500 bytes of it.
    took = time.monotonic() - begun
    assert 4 < took < 9, f"{took:.1f} s"


# --- renewal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_certificate_is_renewed_during_a_response(serve: Serve, ollama: Ollama, tmp_path: Path, version: str) -> None:
    site = Site(serve, ollama, tmp_path)
    before = fingerprint(site.client.handshake()[2])
    body = {"model": "tinystory", "prompt": "hi", "options": {"num_predict": 60}}
    stream = site.client.stream(ROUTE, body, version)
    assert len(stream.lines(3)) == 3
    site.renew()
    assert site.web.reload().code == 0
    deadline = time.monotonic() + 10
    while (after := fingerprint(site.client.handshake()[2])) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    renewed = time.monotonic()
    assert after != before
    assert site.client.call("/").status == 200
    lines = stream.lines()
    assert stream.end() == 0
    assert json.loads(lines[-1].text)["done"] is True
    assert lines[-1].arrived > renewed, "the response ended before the renewal; request a longer one"


# --- the CA's name constraints ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bank.example.com", "8.8.8.8", "2606:4700::1111"])
def test_openssl_refuses_names_outside_the_cas_constraints(site: Site, name: str) -> None:
    """An attacker with the CA's key issues a certificate for a public site."""
    assert site.authority.not_permitted([name]) == [name]
    forged = _signed(site.authority, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        _handshake_in_memory(forged, site.authority, name)


@pytest.mark.parametrize("name", ["other.local", "10.1.2.3", "fd00::5", "pi"])
def test_openssl_accepts_names_within_the_cas_constraints(site: Site, name: str) -> None:
    _handshake_in_memory(_signed(site.authority, name), site.authority, name)


def _signed(authority: Authority, name: str) -> bytes:
    """Certificate and key for one name, signed despite the CA's constraints."""
    key = ec.generate_private_key(ec.SECP256R1())
    real = x509.load_pem_x509_certificate(authority.issue(["pi.local"], today()))
    certificate = (
        x509.CertificateBuilder(extensions=[one for one in real.extensions if one.oid.dotted_string != "2.5.29.17"])
        .subject_name(real.subject)
        .issuer_name(real.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(real.not_valid_before_utc)
        .not_valid_after(real.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([general_name(name)]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem) + plain


def _handshake_in_memory(pair: bytes, authority: Authority, name: str, tries: int = 10) -> None:
    """OpenSSL against OpenSSL.

    Raises:
        ssl.SSLCertVerificationError: the client refuses the certificate.
    """
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(pair)
        file.flush()
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(file.name)
    ours = ssl.create_default_context(cadata=authority.pem.decode())
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_client, to_server, server_hostname=name)
    server = theirs.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(tries):
        done = 0
        for side in (client, server):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
        if done == 2:
            return
    raise AssertionError("the handshake did not complete")


def test_client_without_the_ca_refuses_the_certificate(site: Site) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        site.client.handshake(ssl.create_default_context())
    other = replace(site.client, name="other.local")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname mismatch"):
        other.handshake()
