"""Access control with the real httpd: valid credentials and networks are accepted, all others refused."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hearth.access.credentials import Credentials
from hearth.settings.access import _POLICIES
from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from tests.acceptance.api import Answer, basic, bearer, call
from tests.proxy.conftest import Serve
from tests.proxy.credentials import ANNA, BEN, CREDENTIALS, KEY, MOUNT, OTHER_KEY, SETTINGS, write_files
from tests.proxy.httpd import PREFIX, Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.tls_client import VERSIONS, Client
from tests.proxy.upstream import Upstream, whole
from tests.support.proxy_rules.behaviour import wait_until

LISTED = "http://listed.example:8080"
# The allowed network; every other address is outside.
HOME, ELSEWHERE = "127.0.0.1", "127.0.0.9"
PARENT = "cat /usr/local/apache2/logs/httpd.pid"
USER, CLIENT = basic("anna", ANNA), bearer(KEY)
# Access policy → status for nobody, a user, an API client and a wrong password, each inside and outside the network.
TABLE = {
    "anyone": (200, 200, 200, 200, 200, 200, 200, 200),
    "networks": (200, 403, 200, 403, 200, 403, 200, 403),
    "users": (401, 401, 200, 200, 401, 401, 401, 401),
    "api_keys": (401, 401, 401, 401, 200, 200, 401, 401),
    "users or api_keys": (401, 401, 200, 200, 200, 200, 401, 401),
    "networks or users": (200, 401, 200, 200, 200, 401, 200, 401),
    "networks or api_keys": (200, 401, 200, 401, 200, 200, 200, 401),
    "networks or users or api_keys": (200, 401, 200, 200, 200, 200, 200, 401),
    "networks and users": (401, 403, 200, 403, 401, 403, 401, 403),
    "networks and api_keys": (401, 403, 401, 403, 200, 403, 401, 403),
    "networks and (users or api_keys)": (401, 403, 200, 403, 200, 403, 401, 403),
}
CASES = [
    ("nobody", {}),
    ("a user", USER),
    ("an API client", CLIENT),
    ("a wrong password", basic("anna", f"{ANNA}x")),
]


def path_of(words: str) -> str:
    return "/r/" + re.sub(r"[^a-z]+", "-", words).strip("-")


ROUTES = [{"path": path_of(words), "to": "/api/version", "methods": ["GET"], "access": words} for words in TABLE]
VALUES: dict[str, Any] = {
    **SETTINGS,
    "proxy_access": "users or api_keys",
    "proxy_allowed_networks": [HOME],
    "allowed_origins": [LISTED],
    "proxy_extra_routes": ROUTES,
}


def ask(
    web: Httpd, method: str, path: str, headers: Mapping[str, str], source: str = HOME, body: bytes | None = None
) -> Answer:
    """One request from an address of this machine."""
    connection = http.client.HTTPConnection(web.address, web.port, timeout=60, source_address=(source, 0))
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        headers_ = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Answer(answer.status, headers_, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("secrets") / "httpd")


@pytest.fixture(scope="module")
def web(serve_module: Serve, ollama: Ollama, secrets: Path) -> Httpd:
    return serve_module(upstream=ollama.address, volumes={MOUNT: secrets}, **VALUES)


def test_table_covers_every_access_policy() -> None:
    assert TABLE.keys() == _POLICIES.keys()


@pytest.mark.parametrize("words", TABLE)
def test_access_policies(web: Httpd, ollama: Ollama, words: str) -> None:
    before = ollama.requests()
    expected = dict(zip([(who, where) for who, _ in CASES for where in (HOME, ELSEWHERE)], TABLE[words], strict=True))
    found = {
        (who, where): ask(web, "GET", path_of(words), headers, where).status
        for who, headers in CASES
        for where in (HOME, ELSEWHERE)
    }
    assert found == expected
    accepted = list(expected.values()).count(200)
    assert ollama.wait_for_requests(before + accepted) == before + accepted, "refused requests do not reach Ollama"


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("the correct key", bearer(KEY)),
        ("another client's key", bearer(OTHER_KEY)),
        ("the scheme in lower case", {"Authorization": f"bearer {KEY}"}),
        ("two spaces", {"Authorization": f"Bearer  {KEY}"}),
        ("a password with spaces and an ß", basic("ben", BEN)),
    ],
)
def test_valid_credentials(web: Httpd, name: str, headers: dict[str, str]) -> None:
    assert ask(web, "GET", "/api/version", headers).status == 200, name


WRONG = {
    "the key with a suffix": bearer(f"{KEY}x"),
    "part of the key": bearer(KEY[:-1]),
    "the key in capitals": bearer(KEY.upper()),
    "no key": {"Authorization": "Bearer"},
    "an empty key": {"Authorization": "Bearer "},
    "two keys": bearer(f"{KEY} {KEY}"),
    "a key without a scheme": {"Authorization": KEY},
    "another scheme": {"Authorization": f"Token {KEY}"},
    "the key's name": bearer("notebook"),
    "a key as a password": basic("notebook", KEY),
    "a password as a key": bearer(ANNA),
    "anna with ben's password": basic("anna", BEN),
    "anna without a password": basic("anna", ""),
    "no name and password": basic("", ""),
    "an unknown name": basic("eve", ANNA),
    "anna in capitals": basic("Anna", ANNA),
    "an empty header": {"Authorization": ""},
    "invalid base64": {"Authorization": "Basic !!!"},
    "a very long password": basic("anna", ANNA + "x" * 3000),
    "wildcards": bearer("*" * 20),
    "an expression": bearer("x'||'1'=='1"),
    "headers that httpd sets for valid keys": {"PROGRAM": "notebook", "X-Remote-User": "anna"},
    "headers of another proxy": {
        "X-Forwarded-For": HOME,
        "Forwarded": f"for={HOME}",
        "X-Real-IP": HOME,
        "X-Forwarded-User": "anna",
        "Remote-User": "anna",
    },
}


@pytest.mark.parametrize("what", WRONG)
def test_invalid_credentials(web: Httpd, ollama: Ollama, what: str) -> None:
    before = ollama.requests()
    for path in ("/api/version", path_of("api_keys"), path_of("networks or users or api_keys")):
        answer = ask(web, "GET", path, WRONG[what], ELSEWHERE)
        assert answer.status == 401, (path, answer)
    assert ollama.requests() == before


def test_forwarding_headers_do_not_change_the_source_address(web: Httpd) -> None:
    for header in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP"):
        assert ask(web, "GET", path_of("networks"), {header: HOME}, ELSEWHERE).status == 403, header


def test_two_authorization_headers_are_not_combined(web: Httpd) -> None:
    connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
    connection.putrequest("GET", "/api/version")
    connection.putheader("Authorization", "Bearer x")
    connection.putheader("Authorization", f"Bearer {KEY}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


# --- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error", "challenges"),
    [
        ("users", "sign in", ['Basic realm="Hearth"']),
        ("api_keys", "send an API key (Authorization: Bearer KEY, or X-Api-Key: KEY)", ['Bearer realm="Hearth"']),
        (
            "users or api_keys",
            "sign in, or send an API key (Authorization: Bearer KEY, or X-Api-Key: KEY)",
            ['Basic realm="Hearth"', 'Bearer realm="Hearth"'],
        ),
    ],
)
def test_401_is_json_and_names_the_accepted_credentials(
    web: Httpd, words: str, error: str, challenges: list[str]
) -> None:
    for headers in ({}, bearer("wrong"), basic("anna", "wrong")):
        answer = ask(web, "GET", path_of(words), headers)
        assert (answer.status, answer.json()) == (401, {"error": error})
        assert answer.all("content-type") == ["application/json"]
        assert sorted(answer.all("www-authenticate")) == challenges
        assert answer.all("cache-control") == ["no-store"]


def test_403_distinguishes_address_and_origin(web: Httpd) -> None:
    answer = ask(web, "GET", path_of("networks"), {}, ELSEWHERE)
    assert (answer.status, answer.json()) == (403, {"error": "address not allowed; add it to proxy_allowed_networks"})
    for headers in ({}, USER, CLIENT):
        answer = ask(web, "GET", path_of("networks"), {"Origin": "http://evil.example", **headers})
        assert (answer.status, answer.json()) == (403, {"error": "origin not allowed; add it to allowed_origins"})


def test_cors_preflight_needs_no_sign_in(web: Httpd, ollama: Ollama) -> None:
    before = ollama.requests()
    cors = {"Origin": LISTED, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for words in TABLE:
        for where in (HOME, ELSEWHERE):
            answer = ask(web, "OPTIONS", path_of(words), cors, where)
            assert (answer.status, answer.body) == (204, b""), words
            assert answer.all("access-control-allow-origin") == [LISTED]
            assert "authorization" in answer.all("access-control-allow-headers")[0].lower()
            assert answer.all("access-control-allow-credentials") == []
    assert ollama.requests() == before


def test_page_on_a_listed_origin_can_read_the_error(web: Httpd) -> None:
    for words in TABLE:
        for _, headers in CASES:
            answer = ask(web, "GET", path_of(words), {"Origin": LISTED, **headers})
            assert answer.all("access-control-allow-origin") == [LISTED], (words, headers)
            assert answer.all("vary") == ["Origin"]
            # With it, a listed page could use the browser's credentials of a user who signed in to ours.
            assert answer.all("access-control-allow-credentials") == []


def test_unknown_host_name_is_refused_first(web: Httpd) -> None:
    for path in ("/", "/chat.js", "/api/version"):
        for headers in ({}, USER, CLIENT):
            assert ask(web, "GET", path, {"Host": "evil.example", **headers}).status == 421


def test_wrong_method_and_oversized_body_are_refused_before_sign_in(web: Httpd, ollama: Ollama) -> None:
    before = ollama.requests()
    for headers in ({}, USER):
        assert ask(web, "PUT", "/api/chat", {"Content-Length": "2", **headers}, body=b"{}").status == 405
        assert (
            ask(web, "POST", "/api/chat", {"Transfer-Encoding": "chunked", **headers}, body=b"0\r\n\r\n").status == 411
        )
        assert ask(web, "POST", "/api/chat", {"Content-Length": "999999999", **headers}).status == 413
    assert ollama.requests() == before


# --- The page -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "statuses"),
    # The page for nobody, a user and an API client, inside and outside; its script for nobody, inside and outside.
    [
        ("anyone", (200, 200, 200, 200, 200, 200, 200, 200)),
        ("networks", (200, 403, 200, 403, 200, 403, 200, 403)),
        ("users", (401, 401, 200, 200, 401, 401, 200, 200)),
        ("networks or users", (200, 401, 200, 200, 200, 401, 200, 200)),
        ("networks and users", (401, 403, 200, 403, 401, 403, 200, 403)),
        ("users or api_keys", (401, 401, 200, 200, 200, 200, 200, 200)),
        ("networks and (users or api_keys)", (401, 403, 200, 403, 200, 403, 200, 403)),
    ],
)
def test_page_follows_the_access_policy(serve: Serve, secrets: Path, words: str, statuses: tuple[int, ...]) -> None:
    web = serve(volumes={MOUNT: secrets}, **VALUES | {"proxy_access": words})
    senders: list[Mapping[str, str]] = [{"Accept": "text/html", **sender} for sender in ({}, USER, CLIENT)]
    for path in ("/", "/index.html", "/./index.html", "/%69ndex.html", "//"):
        found = [ask(web, "GET", path, sender, where) for sender in senders for where in (HOME, ELSEWHERE)]
        assert tuple(answer.status for answer in found) == statuses[:6], path
        for answer in found:
            assert (b"<title>" in answer.body and b'id="prompt"' in answer.body) == (answer.status == 200)
            assert answer.all("www-authenticate") == (['Basic realm="Hearth"'] if answer.status == 401 else [])
            # The page's diagnosis must distinguish this from a refusal by Ollama.
            assert answer.status != 403 or answer.json() == {
                "error": "address not allowed; add it to proxy_allowed_networks"
            }
    assert tuple(ask(web, "GET", "/chat.js", {}, where).status for where in (HOME, ELSEWHERE)) == statuses[6:]


@pytest.mark.parametrize("words", ["anyone", "networks", "users", "networks and (users or api_keys)"])
def test_ollamas_own_text_follows_the_access_policy_of_the_page(
    serve: Serve, ollama: Ollama, secrets: Path, words: str
) -> None:
    """What programs get for `GET /` comes from Ollama, and must not come for those who may not have the page."""
    web = serve(upstream=ollama.address, volumes={MOUNT: secrets}, **VALUES | {"proxy_access": words})
    for sender in ({}, USER, CLIENT, {"X-Api-Key": KEY}):
        for where in (HOME, ELSEWHERE):
            page = ask(web, "GET", "/", {"Accept": "text/html", **sender}, where).status
            before = ollama.requests()
            answer = ask(web, "GET", "/", {"Accept": "*/*", "Cookie": "a=b", **sender}, where)
            assert answer.status == page
            assert (answer.body == b"Ollama is running") == (page == 200)
            assert ask(web, "HEAD", "/", sender, where).status == page
            assert ollama.wait_for_requests(before + 2 * (page == 200)) == before + 2 * (page == 200)


def test_x_api_key_counts_as_bearer_does(web: Httpd) -> None:
    """As Anthropic's client library sends it."""
    for words in TABLE:
        for where in (HOME, ELSEWHERE):
            expected = ask(web, "GET", path_of(words), bearer(KEY), where).status
            assert ask(web, "GET", path_of(words), {"X-Api-Key": KEY}, where).status == expected, words
            assert ask(web, "GET", path_of(words), {"X-Api-Key": KEY, **bearer("none")}, where).status == expected
            nobody = ask(web, "GET", path_of(words), {}, where).status
            for wrong in (f"{KEY}x", KEY[:-1], "", f"Bearer {KEY}", KEY.upper()):
                assert ask(web, "GET", path_of(words), {"X-Api-Key": wrong}, where).status == nobody, (words, wrong)


def test_requests_from_inside_the_container_need_no_credentials(serve: Serve, ollama: Ollama, secrets: Path) -> None:
    """The health check and the test of a release have no password."""
    web = serve(
        upstream=ollama.address,
        volumes={MOUNT: secrets},
        **VALUES | {"proxy_access": "networks and users", "proxy_allowed_networks": ["192.168.1.0/24"]},
    )
    port = 20000 + int(web.address.rpartition(".")[2])
    with (web.tree / "httpd/httpd.conf").open("a") as conf:
        conf.write(f"Listen 127.0.0.1:{port}\n")
    web.apply()
    for path in ("/", "/api/tags", path_of("api_keys"), path_of("networks")):
        statuses = [_inside(web, port, path) for _ in range(3)]
        assert statuses == ["200"] * 3, path
        assert ask(web, "GET", path, {}).status in (401, 403), "but not for others"


def _inside(web: Httpd, port: int, path: str) -> str:
    script = (
        f'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3; '
        "read -r _ status _ <&3; echo $status"
    )
    return web.execute(f"bash -c '{script}'").output.strip()


def test_same_rules_over_tls_and_no_password_prompt_over_plain_http(
    serve: Serve, ollama: Ollama, secrets: Path, tmp_path: Path
) -> None:
    authority = create_authority(tmp_path / "ca", ["pi.local"], today())
    live = tmp_path / "live"
    live.mkdir()
    (live / "server.pem").write_bytes(authority.issue(["pi.local"], today()))
    (live / "ca.crt").write_bytes(authority.pem)
    tls = {"proxy_port": 8085, "proxy_tls_port": 8443, "proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"]}
    volumes = {MOUNT: secrets, f"{PREFIX}/conf/tls": live}
    web = serve(upstream=ollama.address, volumes=volumes, **VALUES | tls)
    client = Client(web.address, "pi.local", 8085, 8443, tmp_path / "ca/hearth-ca.crt")
    for path in ("/", "/api/tags"):
        plain = ask(web, "GET", path, {"Host": "pi.local:8085"})
        assert (plain.status, plain.all("www-authenticate")) == (308, [])
        for version in VERSIONS:
            assert client.call(path, version=version).status == 401
            for headers in (USER, CLIENT):
                assert client.call(path, version=version, headers=headers).status == 200


# --- Forwarding -----------------------------------------------------------------------------------

BACKENDS = [
    {"path": "/open/", "to": "http://host.docker.internal:11434/open/", "methods": ["GET", "POST"], "access": "anyone"},
    {"path": "/near/", "to": "http://host.docker.internal:11434/near/", "methods": ["GET"], "access": "networks"},
    {"path": "/ours/", "to": "http://host.docker.internal:11434/ours/", "methods": ["GET", "POST"]},
    {"path": "/ours/open", "to": "http://host.docker.internal:11434/o", "methods": ["GET"], "access": "anyone"},
    {"path": "/ours/key/", "to": "http://host.docker.internal:11434/k/", "methods": ["GET"], "access": "api_keys"},
]


@pytest.fixture
def backends(serve: Serve, secrets: Path) -> Any:
    web = serve(volumes={MOUNT: secrets}, **VALUES | {"proxy_extra_routes": [*ROUTES, *BACKENDS]})
    with Upstream(web.address, whole()) as upstream:
        yield web, upstream


def test_own_credentials_are_removed_and_others_forwarded(backends: tuple[Httpd, Upstream]) -> None:
    web, upstream = backends
    theirs = basic("theirs", "their password")
    expected = [
        ("/open/x", theirs, 200, [theirs["Authorization"]]),
        ("/near/x", theirs, 200, [theirs["Authorization"]]),
        ("/ours/open", theirs, 200, [theirs["Authorization"]]),
        ("/ours/x", USER, 200, []),
        ("/ours/x", CLIENT, 200, []),
        ("/ours/key/x", CLIENT, 200, []),
        ("/api/version", USER, 200, []),
        ("/api/tags", CLIENT, 200, []),
        (path_of("anyone"), CLIENT, 200, []),
        (path_of("networks"), USER, 200, []),
        ("/ours/x", theirs, 401, None),
        ("/ours/key/x", USER, 401, None),
        ("/ours/open/x", USER, 404, None),
    ]
    for path, headers, status, passed_on in expected:
        before = len(upstream.arrived)
        assert ask(web, "GET", path, headers).status == status, path
        arrived = upstream.arrived[before:]
        assert [one.all("Authorization") for one in arrived] == ([] if passed_on is None else [passed_on]), path


def test_page_on_another_origin_cannot_use_a_users_sign_in(backends: tuple[Httpd, Upstream]) -> None:
    """A browser adds a user's password to requests of any page."""
    web, upstream = backends
    for origin, status in [("http://evil.example", 403), ("null", 403), (LISTED, 403), (web.url, 200)]:
        for path in ("/ours/x", "/api/chat"):
            answer = ask(web, "POST", path, {"Origin": origin, "Content-Type": "text/plain", **USER}, body=b"x=1")
            assert answer.status == status, (origin, path)
    assert len(upstream.arrived) == 2
    # A key is sent by the page itself and not stored by the browser: it is accepted from a listed origin.
    for origin, status in [("http://evil.example", 403), (LISTED, 200)]:
        assert ask(web, "POST", "/api/chat", {"Origin": origin, **CLIENT}, body=b"x=1").status == status
    # For routes that are open to anyone, checking origins is left to the backend.
    assert ask(web, "POST", "/open/x", {"Origin": "http://evil.example"}, body=b"x=1").status == 200


# --- Changes --------------------------------------------------------------------------------------


def test_changed_password_takes_effect_immediately(serve: Serve, tmp_path: Path) -> None:
    directory = write_files(tmp_path / "secrets")
    web = serve(volumes={MOUNT: directory}, **VALUES)
    with Upstream(web.address, whole()):
        assert ask(web, "GET", "/api/tags", USER).status == 200
        users = {**CREDENTIALS.users, "anna": SecretStr("another-password")}
        write_files(directory, Credentials(users, CREDENTIALS.api_keys))
        assert ask(web, "GET", "/api/tags", USER).status == 401
        assert ask(web, "GET", "/api/tags", basic("anna", "another-password")).status == 200
        assert ask(web, "GET", "/api/tags", basic("ben", BEN)).status == 200
        write_files(directory, Credentials({}, CREDENTIALS.api_keys))
        assert ask(web, "GET", "/api/tags", basic("ben", BEN)).status == 401


def test_changed_api_key_takes_effect_after_a_graceful_reload(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    directory = write_files(tmp_path / "secrets")
    web = serve(upstream=ollama.address, volumes={MOUNT: directory}, **VALUES)
    _until(lambda: web.execute(PARENT).code == 0)
    parent = web.execute(PARENT).output
    body = json.dumps({"model": "tinystory", "prompt": "go", "options": {"num_predict": 100}}).encode()
    connection = http.client.HTTPConnection(web.address, web.port, timeout=120)
    connection.request("POST", "/api/ollama", body, {"Content-Type": "application/json", **CLIENT})
    answer = connection.getresponse()
    first = answer.readline()
    write_files(directory, Credentials(CREDENTIALS.users, {"notebook": SecretStr("a-new-key-of-the-notebook")}))
    assert web.reload().code == 0
    _until(lambda: ask(web, "GET", "/api/tags", bearer("a-new-key-of-the-notebook")).status == 200)
    _until(lambda: [ask(web, "GET", "/api/tags", CLIENT).status for _ in range(5)] == [401] * 5)
    lines = [json.loads(line) for line in [first, *answer.readlines()]]
    assert answer.status == 200
    assert lines[-1]["done"] is True, "a response that started with the old key is completed"
    assert web.execute(PARENT).output == parent, "the same httpd"


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_missing_credential_files_deny_access(serve: Serve, tmp_path: Path) -> None:
    web = serve(volumes={MOUNT: tmp_path}, **VALUES)
    for path in ("/", "/api/tags", path_of("api_keys")):
        assert ask(web, "GET", path, {}).status == 401
        assert ask(web, "GET", path, CLIENT).status == 401
        assert ask(web, "GET", path, USER).status in (401, 500)


# --- Logs -----------------------------------------------------------------------------------------


def test_log_contains_names_and_no_secrets(serve: Serve, ollama: Ollama, secrets: Path) -> None:
    web = serve(upstream=ollama.address, volumes={MOUNT: secrets}, **VALUES)
    mistyped = "typed-into-the-wrong-field"
    for headers in (
        USER,
        CLIENT,
        basic(mistyped, "x"),
        basic("anna", "not-her-password"),
        bearer("not-a-key"),
        bearer(f"{KEY}x"),
    ):
        for path in ("/", "/api/tags", path_of("api_keys")):
            ask(web, "GET", path, headers)
    # httpd writes a request's line after its response
    wait_until(lambda: len(re.findall(r"^127\.0\.0\.1 .*HTTP/1.1", web.log(), re.MULTILINE)) >= 18, 10)
    log = web.log()
    assert re.search(r'^127\.0\.0\.1 anna - .*"GET /api/tags', log, re.MULTILINE)
    assert re.search(r'^127\.0\.0\.1 - notebook .*"GET /api/tags', log, re.MULTILINE)
    assert re.search(r'^127\.0\.0\.1 - - .*"GET /api/tags HTTP/1.1" 401', log, re.MULTILINE)
    hashes = re.findall(r"\$2y\$\S+|'[0-9a-f]{32,}'", "".join(path.read_text() for path in secrets.iterdir()))
    assert len(hashes) > 4
    for secret in (
        *(ANNA, BEN, KEY, OTHER_KEY, mistyped, "not-her-password", "not-a-key"),
        *(headers["Authorization"].split()[1] for headers in (USER, CLIENT, basic("anna", "not-her-password"))),
        *(one.strip("'") for one in hashes),
    ):
        assert secret not in log
        assert secret not in ollama.log()


def test_no_auth_module_is_loaded_without_access_control(serve: Serve) -> None:
    web = serve()
    conf = (web.tree / "httpd/httpd.conf").read_text()
    assert not re.search(r"auth_basic|AuthType|PROGRAM|secrets", conf)
    assert call(web.url, "GET", "/").status == 200
