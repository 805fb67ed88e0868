"""The doctor against real sockets on loopback, with servers that are broken in realistic ways."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from hearth.doctor.address import Address
from hearth.doctor.causes.catalogue import all_causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.causes.host import MODEL_SERVER_STUCK
from hearth.doctor.causes.ollama import BUSY, CLOCK_SKEW, MODEL_DOES_NOT_ANSWER
from hearth.doctor.checks import prompt
from hearth.doctor.checks.prompt import judge
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.stream import PromptResult
from hearth.doctor.checks.waiting import Silence
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Response
from hearth.doctor.report import collect_findings, exit_code, format_json, format_text
from hearth.doctor.runner import Diagnosis, Options
from hearth.doctor.target import parse_target
from tests.support.doctor.handlers import MODEL, forward_proxy, hearth, ollama, reply, responding, silent, stream
from tests.support.doctor.server import Request, black_hole, closed_port, non_http_server, serving

# On a busy machine, nothing that is expected to respond may time out.
PATIENT = Options(timeout=20.0, patience=60.0, tries=1)
# For what never responds.
IMPATIENT = replace(PATIENT, timeout=1.0)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


def diagnose(url: str, options: Options = PATIENT, environment: ClientEnvironment | None = None) -> list[Step]:
    return list(Diagnosis(parse_target(url), environment or ClientEnvironment(), options).steps())


def ids(steps: Sequence[Step]) -> list[str]:
    return [finding.cause.id for _, finding in collect_findings(steps)]


def only(steps: Sequence[Step], cause: str) -> Finding:
    """The only finding; fails with the whole report if it is another one, or if there are several."""
    assert ids(steps) == [cause], format_text(steps)
    (pair,) = collect_findings(steps)
    assert pair[1].observed
    return pair[1]


def skipped(steps: Sequence[Step]) -> set[str]:
    return {step.name for step in steps if step.skipped}


# --- No problems --------------------------------------------------------------------------------------


def test_no_problem_is_found_with_a_healthy_hearth() -> None:
    with serving(hearth(origins=["http://listed.example"])) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, origin="http://listed.example"))
    assert ids(steps) == [], format_text(steps)
    assert exit_code(steps) == 0, format_text(steps)
    assert [step.name for step in steps if step.state == "ok"] == [
        *("name", "connection", "proxies", "page", "own page", "origin", "version", "models", "prompt", "clock")
    ]
    data = {step.name: step.data for step in steps}
    assert data["version"] == {"ollama": "0.17.4"}
    assert data["prompt"]["model"] == MODEL  # the smallest, not the first one


def test_no_prompt_is_sent_with_no_patience() -> None:
    requests: list[Request] = []

    def count(request: Request, connection: socket.socket) -> None:
        requests.append(request)
        reply(connection, 200, {})

    with serving(hearth({"/api/ollama": count})) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
    assert ids(steps) == [], format_text(steps)
    assert requests == []
    assert skipped(steps) == {"prompt"}


# --- No connection ------------------------------------------------------------------------------------


def test_a_closed_port_is_refused() -> None:
    finding = only(steps := diagnose(f"127.0.0.1:{closed_port()}"), "port-refused")
    assert "proxy_port" in finding.cure
    assert {"page", "prompt", "clock"} <= skipped(steps)
    assert exit_code(steps) == 1, format_text(steps)


def test_localhost_in_a_container_is_the_container() -> None:
    finding = only(
        diagnose(f"localhost:{closed_port()}", environment=ClientEnvironment(in_container=True)),
        "localhost-in-container",
    )
    assert "host.docker.internal" in finding.cure


def test_a_port_that_drops_connections_is_distinguished_from_a_refusal_in_time() -> None:
    begun = time.monotonic()
    with black_hole() as port:
        steps = diagnose(f"127.0.0.1:{port}", IMPATIENT)
    # Other ports of loopback refuse at once, so the machine is up, and only this port is silent.
    finding = only(steps, "port-filtered")
    assert f"port {port} are dropped" in finding.why
    assert time.monotonic() - begun < 20


# --- Another program ----------------------------------------------------------------------------------


def test_ollamas_own_port_and_its_own_403() -> None:
    with serving(ollama) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, origin="http://page.example"))
    assert ids(steps) == ["ollama-itself", "ollama-refuses-origin"]
    assert "OLLAMA_ORIGINS=http://page.example" in collect_findings(steps)[1][1].cure
    assert {step.name: step.state for step in steps}["prompt"] == "ok"


@pytest.mark.parametrize(
    ("status", "server", "what"),
    [
        (404, "Werkzeug/3.0.1 Python/3.11.2", "a Flask program"),
        (200, "nginx/1.22", "another web server"),
    ],
)
def test_another_web_server_is_named(status: int, server: str, what: str) -> None:
    def handler(_: object, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status} X\r\nServer: {server}\r\nContent-Length: 2\r\n\r\nhi".encode())

    with serving(handler) as port:
        finding = only(steps := diagnose(f"127.0.0.1:{port}"), "other-server")
    assert what in finding.why
    assert server.split("/", maxsplit=1)[0] in finding.why
    assert {"own page", "version", "prompt"} <= skipped(steps)


def test_a_program_that_does_not_speak_http_is_quoted() -> None:
    with non_http_server(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n") as port:
        assert "SSH-2.0-OpenSSH" in only(diagnose(f"127.0.0.1:{port}"), "not-http").why


def test_a_port_that_accepts_connections_and_is_silent() -> None:
    with non_http_server(b"") as port:
        only(diagnose(f"127.0.0.1:{port}", IMPATIENT), "connected-but-silent")


def test_a_port_that_closes_connections() -> None:
    with non_http_server(b"", then=lambda connection: connection.close()) as port:
        only(diagnose(f"127.0.0.1:{port}"), "closed-at-once")


def test_a_login_page_on_the_path() -> None:
    with serving(responding(302, b"", ("Location", "http://login.hotel.example/?room"))) as port:
        assert "login.hotel.example" in only(diagnose(f"127.0.0.1:{port}"), "redirected").why


def test_the_api_without_its_page() -> None:
    with serving(hearth({"/": responding(403, b"<h1>Forbidden</h1>")})) as port:
        steps = diagnose(f"127.0.0.1:{port}")
    only(steps, "page-missing")
    assert {step.name: step.state for step in steps}["prompt"] == "ok"


# --- http and https -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA; its certificates for localhost, for another name, and an expired one."""
    directory = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=30)

    # Key usage here and the key identifier below: since 3.13, Python requires them.
    usage = ["-addext", "keyUsage=critical,keyCertSign"]
    openssl("req", "-x509", *key, *usage, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "9")
    authority = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    signer = load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    for name, host, days in (
        ("good", "localhost", 99),
        ("ending", "localhost", 9),
        ("named", "other.example", 9),
        ("ended", "localhost", -1),
    ):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}")
        request = x509.load_pem_x509_csr((directory / f"{name}.csr").read_bytes())
        end = datetime.now(UTC) + timedelta(days=days)
        # Not with openssl, which since 3.5 refuses to create an expired certificate.
        certificate = (
            x509.CertificateBuilder(authority.subject, request.subject, request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=100))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    openssl("req", "-x509", *key, "-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=localhost", "-days", "9")
    return directory


def context(certificates: Path, name: str) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return tls


def test_https_to_plain_http() -> None:
    with serving(hearth()) as port:
        finding = only(steps := diagnose(f"https://127.0.0.1:{port}"), "https-to-http")
    assert f"Use http://127.0.0.1:{port}" in finding.cure
    assert "page" in skipped(steps)


def test_https_to_a_server_that_speaks_neither() -> None:
    with non_http_server(b"\0\1\2 from a database\n") as port:
        steps = diagnose(f"https://127.0.0.1:{port}")
    assert "the TLS handshake failed" in only(steps, "tls-fails").why


def test_http_to_https_that_closes_the_connection(certificates: Path) -> None:
    with serving(hearth(), tls=context(certificates, "good")) as port:
        assert f"Use https://127.0.0.1:{port}" in only(diagnose(f"127.0.0.1:{port}"), "http-to-https").cure


@pytest.mark.parametrize(
    "message",
    [
        # Apache, nginx, Go
        b"<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.</p>",
        b"<title>400 The plain HTTP request was sent to HTTPS port</title>",
        b"Client sent an HTTP request to an HTTPS server.\n",
    ],
)
def test_http_to_https_with_an_error_message(message: bytes) -> None:
    with serving(responding(400, message)) as port:
        only(diagnose(f"127.0.0.1:{port}"), "http-to-https")


def test_http_that_redirects_to_https() -> None:
    with serving(responding(308, b"", ("Location", "https://127.0.0.1/"))) as port:
        only(diagnose(f"127.0.0.1:{port}"), "http-to-https")


@pytest.mark.parametrize(
    ("name", "cause"),
    [("self", "certificate-unknown"), ("named", "certificate-name"), ("ended", "certificate-date")],
)
def test_an_invalid_certificate_is_reported_and_the_diagnosis_continues(
    certificates: Path, name: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    with serving(hearth(), tls=context(certificates, name)) as port:
        steps = diagnose(f"https://localhost:{port}")
    assert cause in ids(steps), format_text(steps)
    assert {step.name: step.state for step in steps}["page"] == "ok"


def test_a_valid_certificate_is_ok(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    with serving(hearth(origins=[]), tls=context(certificates, "good")) as port:
        steps = diagnose(f"https://localhost:{port}")
    assert {step.name: step.state for step in steps}["tls"] == "ok"


def test_a_given_ca_is_trusted_in_addition_to_the_machines_own(certificates: Path) -> None:
    options = replace(PATIENT, authority=str(certificates / "ca.pem"))
    with serving(hearth(origins=[]), tls=context(certificates, "good")) as port:
        assert "certificate-unknown" in ids(diagnose(f"https://localhost:{port}"))
        assert "certificate-unknown" not in ids(diagnose(f"https://localhost:{port}", options))


def test_a_certificate_that_expires_soon_is_a_note(certificates: Path) -> None:
    options = replace(PATIENT, authority=str(certificates / "ca.pem"))
    with serving(hearth(origins=[]), tls=context(certificates, "ending")) as port:
        steps = diagnose(f"https://localhost:{port}", options)
    assert "certificate-ends-soon" in ids(steps)
    assert {step.name: step.state for step in steps}["tls"] == "warning"
    assert "expires in 8 days" in format_text(steps)


def test_a_redirect_to_https_names_the_right_port() -> None:
    with serving(responding(308, b"", ("Location", "https://127.0.0.1:8443/"))) as port:
        assert "Use https://127.0.0.1:8443/" in only(diagnose(f"127.0.0.1:{port}"), "http-to-https").cure


# --- Names and origins --------------------------------------------------------------------------------


def test_a_host_name_that_is_not_served() -> None:
    with serving(hearth(names=["pi.fritz.box"])) as port:
        finding = only(steps := diagnose(f"localhost:{port}"), "host-name-not-served")
    assert 'add "localhost" to `proxy_host_names`' in finding.cure
    assert "prompt" in skipped(steps)
    assert not {"clock"} & skipped(steps)


def test_an_unlisted_origin() -> None:
    with serving(hearth()) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, origin="http://192.168.1.20:8080"))
    assert 'Add "http://192.168.1.20:8080" to `allowed_origins`' in only(steps, "origin-not-listed").cure


def test_a_plain_proxy_in_front_of_ollama_refuses_the_page_itself() -> None:
    def plain(request: Request, connection: socket.socket) -> None:
        if "origin" in request.headers:
            reply(connection, 403)  # Ollama's, forwarded
        else:
            hearth()(request, connection)

    with serving(plain) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
    assert "empty" in only(steps, "own-origin-refused").why


@pytest.mark.parametrize(
    ("origin", "cause"),
    [
        ("http://192.168.1.20:8080/", "origin-spelling"),
        ("192.168.1.20:8080", "origin-spelling"),
        ("null", "origin-null"),
        ("file:///home/me/page.html", "origin-null"),
    ],
)
def test_invalid_origins(origin: str, cause: str) -> None:
    with serving(hearth()) as port:
        only(diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0, origin=origin)), cause)


def test_two_servers_that_both_add_cors_headers() -> None:
    twice = [("Access-Control-Allow-Origin", "http://a.example")] * 2

    def handler(request: Request, connection: socket.socket) -> None:
        if "origin" in request.headers:
            reply(connection, 200, {}, twice)
        else:
            hearth()(request, connection)

    with serving(handler) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0, origin="http://a.example"))
    only(steps, "cors-doubled")


def test_a_refused_preflight() -> None:
    def handler(request: Request, connection: socket.socket) -> None:
        if request.method == "OPTIONS":
            reply(connection, 401, b"<h1>Login</h1>")
        else:
            hearth(origins=["http://a.example"])(request, connection)

    with serving(handler) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0, origin="http://a.example"))
    assert "status 401" in only(steps, "preflight-refused").why


# --- Ollama behind the proxy --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (500, {"error": "model server name does not resolve"}, "ollama-missing"),
        (502, {"error": "model server gave no answer in time"}, "ollama-silent"),
        (503, {"error": "busy, or model server down"}, "ollama-down"),
        (404, b"<h1>Not Found</h1>", "route-missing"),
        (504, b"<h1>Gateway Timeout</h1>", "between-fails"),
        (407, b"<h1>Proxy authentication required</h1>", "between-fails"),
        (200, b"<h1>Welcome</h1>", "not-ollama"),
    ],
)
def test_ollama_does_not_respond(status: int, body: bytes | dict[str, str], cause: str) -> None:
    with serving(hearth({"/api/version": responding(status, body)})) as port:
        steps = diagnose(f"127.0.0.1:{port}")
    only(steps, cause)
    assert skipped(steps) == {"models", "prompt"}


def test_no_models() -> None:
    lists: list[list[str] | None] = [[], None]
    for models in lists:
        with serving(hearth({"/api/tags": responding(200, {"models": models})})) as port:
            only(steps := diagnose(f"127.0.0.1:{port}"), "no-models")
        assert "prompt" in skipped(steps)


def test_a_model_that_was_not_pulled() -> None:
    with serving(hearth()) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, model="llama3.2:1b"))
    finding = only(steps, "model-missing")
    assert MODEL in finding.why
    assert "add llama3.2:1b to `ollama_models`" in finding.cure


def test_a_model_is_the_same_with_and_without_its_tag() -> None:
    with serving(hearth()) as port:
        assert ids(diagnose(f"127.0.0.1:{port}", replace(PATIENT, model="tinyllama"))) == []


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (404, {"error": "model 'x' not found"}, "model-missing"),
        (500, {"error": "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"}, "memory-short"),
        (500, {"error": "llama runner process has terminated: signal: killed"}, "runner-died"),
        (400, {"error": '"bge-m3" does not support generate'}, "model-unfit"),
        (411, {"error": "Content-Length required"}, "length-taken"),
        (500, {"error": "something new"}, "server-failed"),
        (502, {"error": "model server gave no answer in time"}, "ollama-silent"),
        (503, b"<h1>Proxy</h1>", "between-fails"),
    ],
)
def test_a_refused_prompt(status: int, body: bytes | dict[str, str], cause: str) -> None:
    with serving(hearth({"/api/ollama": responding(status, body, ("Retry-After", "0"))})) as port:
        only(diagnose(f"127.0.0.1:{port}"), cause)


def test_a_busy_host_is_retried_after_its_retry_after() -> None:
    times: list[float] = []

    def busy_once(request: Request, connection: socket.socket) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            reply(connection, 503, {"error": "busy, or model server down"}, [("Retry-After", "1")])
        else:
            stream(3, 0.01)(request, connection)

    with serving(hearth({"/api/ollama": busy_once})) as port:
        assert ids(diagnose(f"127.0.0.1:{port}")) == []
    assert times[1] - times[0] >= 1


def test_a_host_that_stays_busy() -> None:
    busy = responding(503, {"error": "busy, or model server down"}, ("Retry-After", "1"))
    with serving(hearth({"/api/ollama": busy})) as port:
        assert "after 1 s" in only(diagnose(f"127.0.0.1:{port}"), "busy").why
    full = responding(
        503, {"error": "server busy, please try again. maximum pending requests exceeded"}, ("Retry-After", "0")
    )
    with serving(hearth({"/api/ollama": full})) as port:
        only(diagnose(f"127.0.0.1:{port}"), "queue-full")


# --- Delivery of the answer ---------------------------------------------------------------------------


def test_streaming_is_distinguished_from_buffering() -> None:
    with serving(hearth({"/api/ollama": stream(6, 0.3)})) as port:
        steps = diagnose(f"127.0.0.1:{port}")
    assert ids(steps) == [], format_text(steps)
    assert "each as soon as it was generated" in {step.name: step.observed for step in steps}["prompt"]
    with serving(hearth({"/api/ollama": stream(6, 0.3, buffered=True)})) as port:
        finding = only(diagnose(f"127.0.0.1:{port}"), "stream-buffered")
    assert "over 1.5 s" in finding.why


def test_a_fast_answer_is_inconclusive() -> None:
    with serving(hearth({"/api/ollama": stream(5, 0.01, buffered=True)})) as port:
        steps = diagnose(f"127.0.0.1:{port}")
    assert ids(steps) == [], format_text(steps)
    assert "too fast to tell" in {step.name: step.observed for step in steps}["prompt"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_that_is_cut_off(whole: bool) -> None:
    with serving(hearth({"/api/ollama": stream(4, 0.01, ends=False, whole=whole)})) as port:
        assert "4 chunks arrived" in only(diagnose(f"127.0.0.1:{port}"), "stream-cut").why


def test_an_error_inside_the_answer() -> None:
    late = stream(2, 0.01, ends=False, error="CUDA error: out of memory")
    with serving(hearth({"/api/ollama": late})) as port:
        assert "out of memory" in only(diagnose(f"127.0.0.1:{port}"), "memory-short").why


def test_a_stream_not_from_ollama() -> None:
    with serving(hearth({"/api/ollama": responding(200, b"<html>please log in</html>\n")})) as port:
        assert "please log in" in only(diagnose(f"127.0.0.1:{port}"), "not-ollama").why


def test_a_first_word_that_takes_long_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearth.doctor.checks.prompt._SLOW", 0.5)
    with serving(hearth({"/api/ollama": stream(6, 0.2, before=0.8)})) as port:
        finding = only(steps := diagnose(f"127.0.0.1:{port}"), "first-token-slow")
    assert "of which Ollama spent 2 s on loading" in finding.why
    assert exit_code(steps) == 0, format_text(steps)


def test_the_patience_is_limited() -> None:
    with serving(hearth({"/api/ollama": silent(loaded=False)})) as port:
        begun = time.monotonic()
        finding = only(diagnose(f"127.0.0.1:{port}", replace(PATIENT, timeout=5, patience=1.5)), "first-token-never")
    assert "1.5 s" in finding.why
    assert time.monotonic() - begun < 20


def test_a_loaded_model_that_does_not_answer_is_not_waited_for_longer() -> None:
    with serving(hearth({"/api/ollama": silent(loaded=True)})) as port:
        finding = only(steps := diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=1.5)), "model-does-not-answer")
    assert "that it is in memory" in finding.observed
    assert "docker restart hearth-ollama" in finding.cure
    assert "patience" not in finding.cure
    assert exit_code(steps) == 1, format_text(steps)


@pytest.mark.parametrize(
    ("silence", "cause", "text"),
    [
        (None, "first-token-never", "the model is not in memory yet"),
        (Silence(None, 0), "first-token-never", "not in memory yet"),
        (Silence(None, 301), "first-token-never", "not in memory yet"),
        (Silence(None, 61.3), "model-does-not-answer", "even from a slow card, loading takes no more than 61 s"),
        (Silence(0.04, 1000), "model-does-not-answer", "reported within 0.0 s that it is in memory"),
    ],
)
def test_slow_is_distinguished_from_stuck_by_the_load_request(silence: Silence | None, cause: str, text: str) -> None:
    step = judge(PromptResult(Response(0, (), b""), timed_out=True), MODEL, 300, silence=silence)
    (finding,) = step.findings
    assert finding.cause.id == cause
    assert text in finding.why
    assert "300 s" in step.observed


def test_a_prompt_lost_in_a_restart_is_sent_once_more() -> None:
    """As when the health check restarts a stuck Ollama: 502, then no listener for a moment, then it works."""
    paths: list[str] = []

    def dropped_once(request: Request, connection: socket.socket) -> None:
        paths.append(request.path)
        if request.path == "/api/ollama":
            if paths.count("/api/ollama") > 1:
                return stream(3, 0.01)(request, connection)
            return reply(connection, 502, {"error": "model server gave no answer in time"})
        if "/api/ollama" in paths and paths.count("/api/version") < 4:
            return reply(connection, 503, {"error": "busy, or model server down"})
        return reply(connection, 200, {"version": "0.17.4"})

    with serving(hearth({"/api/ollama": dropped_once, "/api/version": dropped_once})) as port:
        finding = only(steps := diagnose(f"127.0.0.1:{port}"), "model-server-restarted")
    assert exit_code(steps) == 0, format_text(steps)
    assert paths == ["/api/version", "/api/ollama", *["/api/version"] * 3, "/api/ollama"]
    assert "the first attempt was dropped" in finding.observed


def test_a_restarted_ollama_that_answers_slowly_is_reported_as_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reloads the model."""
    monkeypatch.setattr(prompt, "_SLOW", 0.2)
    paths: list[str] = []

    def dropped_once(request: Request, connection: socket.socket) -> None:
        paths.append(request.path)
        if len(paths) > 1:
            return stream(3, 0.01, before=0.5)(request, connection)
        return reply(connection, 502, {"error": "model server gave no answer in time"})

    with serving(hearth({"/api/ollama": dropped_once})) as port:
        assert ids(diagnose(f"127.0.0.1:{port}")) == ["model-server-restarted", "first-token-slow"]


def test_findings_from_inside_replace_less_certain_ones_from_outside() -> None:
    guesses = [Finding(cause, "x") for cause in (MODEL_DOES_NOT_ANSWER, BUSY, CLOCK_SKEW)]
    steps = [Step("prompt", "x", tuple(guesses)), Step("host", "x", (Finding(MODEL_SERVER_STUCK, "x"),))]
    assert ids(steps) == ["model-server-stuck", "clock-skew"]
    known = {cause.id for cause in all_causes()}
    assert {name for cause in all_causes() for name in cause.replaces} <= known


# --- Client-side proxies ------------------------------------------------------------------------------


def test_a_proxy_that_interferes(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hearth()) as port, serving(forward_proxy(refuses=True)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{proxy}")
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
        finding = only(steps, "proxy-in-the-way")
        assert "status 503" in finding.why
        assert "HTTP_PROXY" in finding.why
        assert "NO_PROXY=127.0.0.1" in finding.cure
        assert "secret" not in json.dumps(format_json("x", steps)) + format_text(steps)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ids(diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))) == []


def test_a_proxy_gets_the_password_from_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = f"Basic {base64.b64encode(b'me:se:cret').decode()}"
    with serving(hearth()) as port, serving(forward_proxy(requires=secret)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:se%3Acret@127.0.0.1:{proxy}")
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
        assert ids(steps) == ["proxy-used"]
        assert "cret" not in json.dumps(format_json("x", steps)) + format_text(steps)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        assert "status 407" in only(diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0)), "proxy-in-the-way").why


@pytest.mark.parametrize("value", ["http://me:secret@proxy:notaport", "http://[bad", "http://", "me:secret@"])
def test_an_invalid_proxy_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with serving(hearth()) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
    finding = only(steps, "proxy-unreadable")
    assert "unset http_proxy" in finding.cure
    assert "secret" not in json.dumps(format_json("x", steps)) + format_text(steps)


def test_a_proxy_that_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hearth()) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        finding = only(diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0)), "proxy-in-the-way")
    assert "refused" in finding.why


def test_a_network_in_no_proxy_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hearth()) as port, serving(forward_proxy(refuses=True)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("no_proxy", "example.org,127.0.0.0/8")
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0))
    assert ids(steps) == ["proxy-in-the-way", "no-proxy-network"]
    assert "127.0.0.0/8" in collect_findings(steps)[1][1].why


def test_a_forwarding_proxy_is_a_note_and_a_buffering_one_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = hearth({"/api/ollama": stream(6, 0.3)})
    with serving(slow) as port, serving(forward_proxy()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        steps = diagnose(f"127.0.0.1:{port}")
    assert ids(steps) == ["proxy-used"]
    assert exit_code(steps) == 0, format_text(steps)
    # On a busy machine, direct chunks may arrive together, too; it is enough if the proxy is identified once.
    for _ in range(4):
        with serving(slow) as port, serving(forward_proxy(buffers=True)) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
            steps = diagnose(f"127.0.0.1:{port}")
        assert ids(steps) == ["stream-buffered", "proxy-used"]
        if collect_findings(steps)[0][0] == "prompt through the proxy":
            return
    pytest.fail(f"the proxy was never identified: {collect_findings(steps)}")


# --- Clocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "text"),
    [(timedelta(days=-400), "400 days behind"), (timedelta(hours=2), "2 hours ahead of")],
)
def test_clocks_that_differ_are_a_note(skew: timedelta, text: str) -> None:
    with serving(hearth(clock=skew)) as port:
        finding = only(steps := diagnose(f"127.0.0.1:{port}", replace(PATIENT, patience=0)), "clock-skew")
    assert text in finding.why
    assert exit_code(steps) == 0, format_text(steps)


# --- Garbage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff" * 500,
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    ],
)
def test_garbage_is_reported_and_never_crashes_the_doctor(raw: bytes) -> None:
    """As the page, and then as each response of the API."""

    def handler(_: Request, connection: socket.socket) -> None:
        connection.sendall(raw)

    with serving(handler) as port:
        steps = diagnose(f"127.0.0.1:{port}", replace(PATIENT, origin="http://a.example"))
    assert exit_code(steps) == 1, format_text(steps)
    assert format_text(steps)
    for path in ("/api/version", "/api/tags", "/api/ollama"):
        with serving(hearth({path: handler})) as port:
            assert exit_code(diagnose(f"127.0.0.1:{port}", PATIENT)) == 1, path


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/version", []),
        ("/api/version", "text"),
        ("/api/tags", {"models": [1, 2]}),
        ("/api/tags", {"models": {"a": 1}}),
        ("/api/tags", {"models": "none"}),
        ("/api/ollama", [1]),
        ("/api/ollama", {"error": {"code": 5}}),
    ],
)
def test_unexpected_json_is_reported(path: str, document: object) -> None:
    with serving(hearth({path: responding(200, json.dumps(document).encode())})) as port:
        assert exit_code(diagnose(f"127.0.0.1:{port}", PATIENT)) == 1


def test_invalid_sizes_and_counts_are_ignored() -> None:
    last = {"done": True, "eval_count": "many", "eval_duration": None, "load_duration": [], "created_at": 5}
    answers = {
        "/api/tags": responding(200, {"models": [{"name": MODEL, "size": "big"}]}),
        "/api/ollama": responding(200, json.dumps(last).encode() + b"\n"),
    }
    with serving(hearth(answers)) as port:
        assert ids(diagnose(f"127.0.0.1:{port}", PATIENT)) == []


# --- Credentials --------------------------------------------------------------------------------------


def test_a_key_is_sent_only_to_the_host(certificates: Path) -> None:
    """Not to a proxy, and not over TLS with an invalid certificate."""
    received: list[str] = []

    def record(request: Request, connection: socket.socket) -> None:
        received.append(request.headers.get("authorization", ""))
        reply(connection, 200, {})

    with serving(record) as port:
        target = parse_target(f"http://127.0.0.1:{port}")
        endpoint = Endpoint(target, Address(socket.AF_INET, ("127.0.0.1", port)), 1.0, authorization="Bearer key")
        call(endpoint, "GET", "/")
        call(replace(endpoint, proxy=f"http://127.0.0.1:{port}"), "GET", "/")
        assert received == ["Bearer key", ""]
    assert "Bearer" not in repr(endpoint)
    with serving(record, tls=context(certificates, "good")) as port:
        safe = replace(endpoint, target=parse_target(f"https://localhost:{port}"))
        safe = replace(safe, address=Address(socket.AF_INET, ("127.0.0.1", port)))
        call(safe, "GET", "/")
        call(replace(safe, tls=ssl.create_default_context(cafile=str(certificates / "ca.pem"))), "GET", "/")
    assert received[2:] == ["", "Bearer key"]
