"""Routes to providers in the internet: the host adds the key, and only the provider gets it."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hearth.access.credentials import Credentials, ProviderKey
from hearth.doctor.checks.host_state import judge
from hearth.settings.model import Settings
from hearth.settings.providers import PROVIDER_SLOTS, provider_mark
from hearth.stack.health_facts import _PROBE, parse_providers
from lab import artefacts
from lab.models import TINYLLAMA_SENTENCE
from lab.progress import Stages
from tests.acceptance.api import Answer, basic, bearer, call
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, CREDENTIALS, KEY, MOUNT, SETTINGS, write_files
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.provider import CA_BUNDLE, NAME, PORT, URL, Authority, Provider, Reply, Request, from_ollama
from tests.proxy.test_libraries import run
from tests.proxy.test_reuse import listed
from tests.proxy.test_tls import Site as TlsSite
from tests.support.proxy_rules.behaviour import wait_until
from tests.unit.doctor.test_host_over_ssh import DATA, HEALTHY

PROVIDER_KEY = "sk-proj-the.key_of/the+provider=0123456789"
CHAT, MESSAGES = "/paid/v1/chat/completions", "/claude/v1/messages"
LISTED = "http://listed.example:8080"
VALUES: dict[str, Any] = {
    **SETTINGS,
    "proxy_access": "users or api_keys",
    "allowed_origins": [LISTED],
    "proxy_providers": {
        f"{name}{suffix}": {"url": url, "key": {"env": "PAID"}, "api": api}
        for name, api in (("paid", "openai"), ("claude", "anthropic"))
        for suffix, url in (("", URL), ("-refused", URL), ("-off", URL.replace(str(PORT), str(PORT + 1))))
    },
}
PROMPT = {"model": "tinyllama", "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 50}
ME = bearer(KEY)


def keys_of(settings: Settings, key: str = PROVIDER_KEY) -> Credentials:
    """The tests' users and API clients, and the providers with this key (or a wrong one, for "-refused")."""
    providers = {
        name: ProviderKey(
            provider_mark(name, one), one.api, SecretStr("wrong-key" if name.endswith("-refused") else key)
        )
        for name, one in settings.proxy_providers.items()
    }
    return Credentials(CREDENTIALS.users, CREDENTIALS.api_keys, providers)


class Site:
    """httpd that trusts `authority`, and a provider at httpd's own address."""

    def __init__(self, serve: Serve, directory: Path, authority: Authority, **values: Any) -> None:
        self.secrets = write_files(directory / "secrets")
        self.web: Httpd = serve(volumes={MOUNT: self.secrets, CA_BUNDLE: authority.bundle}, **{**VALUES, **values})
        self.web.set_names({NAME: self.web.address, "ollama": self.web.address})
        self.install(PROVIDER_KEY)

    def install(self, key: str) -> None:
        """What a deploy does with a new key."""
        write_files(self.secrets, keys_of(self.web.settings, key))
        self.web.apply()

    def provider(self, certificate: Path, answer: Callable[[Reply, Request], None]) -> Provider:
        return Provider(self.web.address, certificate, answer)

    def call(self, path: str = CHAT, headers: dict[str, str] | None = None, method: str = "POST") -> Answer:
        body = None if method in ("GET", "OPTIONS") else PROMPT
        return call(self.web.url, method, path, body, ME if headers is None else headers)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.issue(NAME)


@pytest.fixture(scope="module")
def site(serve_module: Serve, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(serve_module, tmp_path_factory.mktemp("site"), authority)


def hello(reply: Reply, _: Request) -> None:
    reply.send(200, b'{"hello":1}')


def after(event: threading.Event) -> Callable[[Reply, Request], None]:
    def answer(reply: Reply, request: Request) -> None:
        event.wait(60)
        hello(reply, request)

    return answer


def everything(answer: Answer) -> str:
    return f"{answer.headers} {answer.body!r}"


def test_key_reaches_the_provider_alone(site: Site, certificate: Path, ollama: Ollama) -> None:
    with site.provider(certificate, from_ollama(ollama.address, PROVIDER_KEY)) as provider:
        sent = {
            **ME,
            "Origin": LISTED,
            "Cookie": "session=1",
            "Referer": "http://pi/private",
            "X-Forwarded-For": "10.0.0.7",
            "OpenAI-Project": "another",
        }
        answer = site.call(headers=sent)
        # Anthropic's clients send their key in another header; here, also a user's password.
        other = site.call(MESSAGES, basic("anna", ANNA))
    assert TINYLLAMA_SENTENCE in answer.json()["choices"][0]["message"]["content"]
    assert TINYLLAMA_SENTENCE in other.json()["content"][0]["text"]
    request, second = provider.requests
    assert (request.path, request.server_name, request.headers["host"]) == (
        "/v1/chat/completions",
        NAME,
        f"{NAME}:{PORT}",
    )
    assert json.loads(request.body) == PROMPT
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert request.headers.keys() - {"accept-encoding", "connection"} == {
        "host",
        "authorization",
        "content-type",
        "content-length",
    }
    assert "authorization" not in second.headers
    assert (second.headers["x-api-key"], second.headers["anthropic-version"]) == (PROVIDER_KEY, "2023-06-01")
    for one in (answer, other):
        assert PROVIDER_KEY not in everything(one)
        assert not one.all("set-cookie") + one.all("strict-transport-security") + one.all("openai-organization")
        assert one.all("x-ratelimit-remaining-requests") == ["99"]
    assert (answer.all("access-control-allow-origin"), other.all("access-control-allow-origin")) == ([LISTED], [])
    assert PROVIDER_KEY not in site.web.log()


def test_only_listed_callers_methods_and_paths_reach_the_provider(site: Site, certificate: Path) -> None:
    with site.provider(certificate, hello) as provider:
        assert site.call(headers={}).status == 401
        assert site.call(headers=bearer(PROVIDER_KEY)).status == 401
        assert site.call(headers={**ME, "Origin": "http://evil.example"}).status == 403
        assert site.call(headers={**basic("anna", ANNA), "Origin": LISTED}).status == 403
        for path in ("/paid/v1/files", "/paid/v1/chat/completions/", "/paid", "/claude/v1/chat/completions"):
            assert site.call(path).status == 404, path
        assert site.call(method="GET").status == 405
        assert call(site.web.url, "POST", CHAT, None, {**ME, "Transfer-Encoding": "chunked"}).status == 411
        preflight = site.call(headers={"Origin": LISTED, "Access-Control-Request-Method": "POST"}, method="OPTIONS")
        assert (preflight.status, preflight.all("access-control-allow-origin")) == (204, [LISTED])
        assert not provider.requests
        assert site.call("/%70aid/v1/chat/completions").status == 200
        assert provider.requests[0].headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    refused = site.call(headers={}).json()["error"], site.call(MESSAGES, {}).json()
    challenges = site.call(headers={}).all("www-authenticate")
    assert challenges == ['Basic realm="Hearth"', 'Bearer realm="Hearth"']
    assert site.call("/hearth-unauthorized", method="GET").status == 404
    assert refused[0]["message"].startswith("sign in, or send an API key of this host")
    assert (refused[1]["type"], refused[1]["error"]["type"]) == ("error", "authentication_error")


def test_refused_key_is_reported_without_it(site: Site, certificate: Path, ollama: Ollama) -> None:
    with site.provider(certificate, from_ollama(ollama.address, "another-key")) as provider:
        for path in (CHAT, MESSAGES):
            answer = site.call(path)
            assert answer.status == 502
            message = answer.json()["error"]["message"]
            assert (
                message == "the provider refused the key of this host; correct it in proxy_providers, and deploy again"
            )
            assert PROVIDER_KEY not in everything(answer)
            assert not answer.all("www-authenticate")
            assert site.call(path, {**ME, "Origin": LISTED}).all("access-control-allow-origin") == [LISTED]
        provider.answer = lambda reply, _: reply.send(403, b"no")
        assert site.call().json()["error"]["message"] == "the provider refused this request (403)"
        # Other errors are for the caller, as the provider wrote them.
        provider.answer = lambda reply, _: reply.send(429, b'{"error":{"message":"slow down"}}', {"Retry-After": "7"})
        answer = site.call()
        assert (answer.status, answer.json()["error"]["message"], answer.all("retry-after")) == (
            429,
            "slow down",
            ["7"],
        )


@pytest.mark.parametrize("kind", ["another name", "another authority", "expired"])
def test_wrong_certificate_is_refused(site: Site, authority: Authority, tmp_path: Path, kind: str) -> None:
    wrong = {
        "another name": lambda: authority.issue("api.another.example"),
        "another authority": lambda: Authority(tmp_path / "other").issue(NAME),
        "expired": lambda: authority.issue(NAME, -timedelta(days=2), -timedelta(days=1)),
    }[kind]()
    with site.provider(wrong, hello) as provider:
        answers = [site.call(CHAT), site.call(MESSAGES)]
    assert not provider.requests
    for answer in answers:
        assert answer.status == 500
        assert "its certificate is not valid" in answer.json()["error"]["message"]


def test_unreachable_provider_is_reported_and_found_again(site: Site, certificate: Path) -> None:
    down, claude = site.call(), site.call(MESSAGES)
    assert (down.status, claude.status) == (503, 503)
    assert down.json()["error"]["code"] == "provider_unreachable"
    assert claude.json() == {
        "type": "error",
        "error": {"type": "api_error", "message": "the provider is not reachable, or busy"},
    }
    with site.provider(certificate, hello):
        assert site.call().status == 200
    # The page and Ollama's routes are not affected.
    assert call(site.web.url, "GET", "/", headers=basic("anna", ANNA)).status == 200


def test_unknown_name_is_reported(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    site = Site(serve, tmp_path, authority)
    site.web.set_names({})
    answer = site.call()
    assert (answer.status, answer.json()["error"]["code"]) == (500, "provider_unreachable")


def test_stream_is_not_buffered(site: Site, certificate: Path) -> None:
    """The provider sends each event only after the previous one has reached the client."""
    received = [threading.Event() for _ in range(5)]

    def answer(reply: Reply, _: Request) -> None:
        reply.send_response(200)
        reply.send_header("Content-Type", "text/event-stream")
        reply.send_header("Transfer-Encoding", "chunked")
        reply.end_headers()
        for number, event in enumerate(received):
            reply.send_chunk(b"data: %d\n\n" % number)
            assert event.wait(30)
        reply.send_chunk(b"")

    with site.provider(certificate, answer):
        connection = http.client.HTTPConnection(site.web.address, site.web.port, timeout=20)
        connection.request("POST", CHAT, json.dumps(PROMPT), {"Content-Type": "application/json", **ME})
        response = connection.getresponse()
        for number, event in enumerate(received):
            assert response.readline() == b"data: %d\n" % number
            response.readline()
            event.set()
        assert response.read() == b""
        connection.close()


def test_connections_to_the_provider_are_kept(site: Site, certificate: Path) -> None:
    with site.provider(certificate, hello) as provider:
        for _ in range(5):
            assert site.call().status == 200
    assert len({one.connection for one in provider.requests}) == 1


def test_changed_key_is_active_after_a_reload(site: Site, certificate: Path) -> None:
    with site.provider(certificate, hello) as provider:
        site.install("sk-the-next-key-of-the-provider")

        def is_new() -> bool:
            site.call()
            return provider.requests[-1].headers["authorization"] == "Bearer sk-the-next-key-of-the-provider"

        try:
            wait_until(is_new, 10)
        finally:
            site.install(PROVIDER_KEY)


def test_key_is_only_sent_to_its_own_address(
    serve: Serve, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    """While the files of another address' key are still there, requests go without one."""
    site = Site(serve, tmp_path, authority)
    moved = {"paid": {"url": URL.replace("/v1", "/moved/v1"), "key": {"env": "PAID"}}}
    site.web.write(type(site.web.settings).model_validate(site.web.settings.model_dump() | {"proxy_providers": moved}))
    site.web.apply()
    with site.provider(certificate, hello) as provider:
        wait_until(lambda: site.call().status == 200 and provider.requests[-1].path.startswith("/moved"), 10)
    assert "authorization" not in provider.requests[-1].headers


def test_a_provider_that_hangs_leaves_the_rest_alone(
    serve: Serve, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    site = Site(serve, tmp_path, authority, proxy_queue_timeout=1)
    site.web.set_names({NAME: site.web.address, "ollama": "127.0.0.1"})
    done = threading.Event()
    with ExitStack() as stack:
        provider = stack.enter_context(site.provider(certificate, after(done)))
        stack.callback(done.set)
        threads = [threading.Thread(target=site.call) for _ in range(PROVIDER_SLOTS)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        wait_until(lambda: len(provider.requests) == PROVIDER_SLOTS, 20)
        full = site.call()
        assert (full.status, full.json()["error"]["message"]) == (503, "the provider is not reachable, or busy")
        assert call(site.web.url, "GET", "/chat.js").status == 200
        # Ollama's health check must not take them for requests to which Ollama gives no answer.
        assert listed(site.web, "127.0.0.1") == (200, [])
        done.set()


def test_callers_share_counts_for_providers(
    serve: Serve, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    site = Site(serve, tmp_path, authority, proxy_max_streams_per_caller=1)
    done = threading.Event()
    with site.provider(certificate, after(done)) as provider:
        thread = threading.Thread(target=site.call)
        thread.start()
        wait_until(lambda: len(provider.requests) == 1, 10)
        busy = site.call()
        other = threading.Thread(target=lambda: site.call(headers=basic("anna", ANNA)))
        other.start()
        wait_until(lambda: len(provider.requests) == 2, 10)
        done.set()
        thread.join()
        other.join()
    assert (busy.status, busy.json()["error"]["message"]) == (
        503,
        "API client notebook has 1 response in progress, the limit for one caller",
    )


@pytest.mark.parametrize("values", [{}, {"ollama_pools": {"default": [{"url": "http://192.0.2.1"}]}}])
def test_over_tls(
    serve: Serve, ollama: Ollama, authority: Authority, certificate: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    """The virtual hosts have the same routes; also with pools."""
    secrets = write_files(tmp_path / "secrets")
    volumes = {MOUNT: secrets, CA_BUNDLE: authority.bundle}
    tls = TlsSite(serve, ollama, tmp_path, volumes=volumes, **VALUES, **values)
    tls.web.set_names({NAME: tls.web.address, "ollama": ollama.address})
    write_files(secrets, keys_of(tls.web.settings))
    assert "Syntax OK" in tls.web.execute("httpd -t -f /usr/local/apache2/conf/hearth/httpd.conf").output
    tls.web.apply()
    with Provider(tls.web.address, certificate, hello) as provider:
        wait_until(lambda: tls.client.call(CHAT, "POST", body=PROMPT, headers=ME).status == 200, 10)
        answer = tls.client.call(CHAT, "POST", body=PROMPT)
    assert provider.requests[-1].headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_doctor_distinguishes_a_refused_key_from_an_unreachable_provider(
    serve: Serve, authority: Authority, certificate: Path, tmp_path: Path
) -> None:
    """The health probe's request within the container, to this httpd's address."""
    # Its requests come from 127.0.0.1, which is allowed everywhere; here, from another address.
    site = Site(
        serve,
        tmp_path,
        authority,
        proxy_access="networks or users or api_keys",
        proxy_allowed_networks=["127.0.0.0/16"],
    )
    program = _PROBE.read_text().split("echo @@providers")[1].split("bash -c '")[1].split("'")[0]
    program = program.replace("/dev/tcp/127.0.0.1/80", f"/dev/tcp/{site.web.address}/{site.web.port}")
    lines = []
    with site.provider(certificate, from_ollama("127.0.0.1", "another-key")) as provider:
        for name, answer in (("paid", hello), ("claude", provider.answer), ("paid-off", hello)):
            provider.answer = answer
            said = subprocess.run(["bash", "-c", program, name], capture_output=True, text=True, check=True).stdout
            lines.append(f"{name} {said.strip()}")
    found = parse_providers(lines)
    assert {name: status for name, (status, _) in found.items()} == {"paid": 200, "claude": 502, "paid-off": 503}
    findings = judge("pi", {**HEALTHY, "providers": found}, DATA)
    assert [(one.cause.id, one.values["what"]) for one in findings] == [
        (
            "provider-refuses-key",
            "the provider refused the key of this host; correct it in proxy_providers, and deploy again",
        ),
        ("provider-unreachable", "the provider is not reachable, or busy"),
    ]


@pytest.fixture(scope="module")
def libraries() -> Path:
    with Stages() as stages:
        return artefacts.build(("libraries",), stages)["libraries"]


@pytest.mark.parametrize(
    ("language", "library", "actions"),
    [
        ("python", "openai", ("chat", "models")),
        ("python", "anthropic", ("messages",)),
        ("javascript", "openai", ("chat", "models")),
        ("javascript", "anthropic", ("messages",)),
    ],
)
def test_libraries(
    site: Site,
    certificate: Path,
    ollama: Ollama,
    libraries: Path,
    language: str,
    library: str,
    actions: tuple[str, ...],
) -> None:
    """The base URL is all that changes; the key is one of this host."""
    name = "claude" if library == "anthropic" else "paid"

    def one(action: str, name: str, key: str = KEY) -> dict[str, Any]:
        return {"action": action, "url": f"{site.web.url}/{name}", "key": key, "headers": {}}

    calls = [
        *(one(action, name) for action in actions),
        one(actions[0], name, f"{KEY}x"),
        one(actions[0], f"{name}-refused"),
        one(actions[0], f"{name}-off"),
    ]
    with site.provider(certificate, from_ollama(ollama.address, PROVIDER_KEY)):
        *answers, unknown, refused, off = run(libraries, language, library, calls)
    for action, answer in zip(actions, answers, strict=True):
        assert ("tinyllama" if action == "models" else TINYLLAMA_SENTENCE) in answer.get("text", ""), answer
    assert "sign in, or send an API key of this host" in unknown.get("error", ""), unknown
    assert "the provider refused the key of this host" in refused.get("error", ""), refused
    assert "the provider is not reachable, or busy" in off.get("error", ""), off
