"""proxy_trusted_proxies with the real httpd: the caller behind a tunnel is known, and others can't claim an address."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.proxy.conftest import Serve
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.proxy.test_tls import Site
from tests.proxy.upstream import Upstream, whole, words

ROUTE = "/api/ollama"
# The tunnel, another proxy behind it, and a machine of the same network that is neither.
TUNNEL, SECOND, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
HOME, ELSEWHERE = "192.168.1.20", "203.0.113.9"
TRUSTED = [TUNNEL, SECOND, "fd00:7::/64"]


class Connection:
    """A connection from an address of the loopback network."""

    def __init__(self, web: Httpd, source: str, port: int = 0) -> None:
        self.http = http.client.HTTPConnection(web.address, port or web.port, timeout=30, source_address=(source, 0))

    def send(
        self,
        forwarded: str | Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        path: str = ROUTE,
    ) -> http.client.HTTPResponse:
        """Send a prompt; `forwarded`: lines of X-Forwarded-For."""
        body = json.dumps({"model": "x", "prompt": "hi"}) if method == "POST" else ""
        self.http.putrequest(method, path, skip_host="Host" in (headers or {}))
        for line in [forwarded] if isinstance(forwarded, str) else forwarded:
            self.http.putheader("X-Forwarded-For", line)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.http.putheader(name, value)
        for name, value in (headers or {}).items():
            self.http.putheader(name, value)
        self.http.endheaders(body.encode())
        return self.http.getresponse()


def status(web: Httpd, source: str, forwarded: str | Sequence[str] = (), **others: str) -> int:
    connection = Connection(web, source)
    answer = connection.send(forwarded, **others)  # type: ignore[arg-type]
    answer.read()
    connection.http.close()
    return answer.status


def logged_address(web: Httpd, source: str, forwarded: str | Sequence[str], path: str) -> str:
    """The first field of the access log's line."""
    assert status(web, source, forwarded, method="GET", path=path) in (403, 404)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if lines := [line for line in web.log().splitlines() if f"GET {path} " in line]:
            return lines[-1].split()[0]
        time.sleep(0.02)
    raise AssertionError(web.log()[-2000:])


@pytest.fixture(scope="module")
def web(serve_module: Serve) -> Httpd:
    return serve_module(
        proxy_trusted_proxies=TRUSTED, proxy_access="networks", proxy_allowed_networks=["192.168.1.0/24"]
    )


@pytest.mark.parametrize(
    ("source", "forwarded", "caller"),
    [
        (TUNNEL, HOME, HOME),
        (TUNNEL, "2001:db8::5", "2001:db8::5"),
        # The client wrote the first one itself; the tunnel appended what it saw.
        (TUNNEL, f"{HOME}, {ELSEWHERE}", ELSEWHERE),
        (TUNNEL, [HOME, ELSEWHERE], ELSEWHERE),
        (TUNNEL, f"127.0.0.1, {ELSEWHERE}", ELSEWHERE),
        # Several hops, all of them trusted; an address of IPv6 among them.
        (TUNNEL, f"{HOME}, {SECOND}", HOME),
        (TUNNEL, f"{HOME}, fd00:7::9, {SECOND}", HOME),
        (TUNNEL, f"{HOME}, {ELSEWHERE}, {SECOND}", ELSEWHERE),
        # Not an address: the caller is unknown, so it is the proxy.
        (TUNNEL, "unknown", TUNNEL),
        (TUNNEL, f"{HOME}, x", TUNNEL),
        (TUNNEL, "", TUNNEL),
        # Everybody else is the address of the connection.
        (STRANGER, HOME, STRANGER),
        (STRANGER, f"{HOME}, {TUNNEL}", STRANGER),
        (STRANGER, [TUNNEL, HOME], STRANGER),
        ("127.0.0.1", HOME, "127.0.0.1"),
    ],
)
def test_the_caller_is_the_first_untrusted_address_from_the_right(
    web: Httpd, source: str, forwarded: str | Sequence[str], caller: str
) -> None:
    path = f"/none-{abs(hash((source, str(forwarded))))}"
    with Upstream(web.address, whole()) as upstream:
        assert logged_address(web, source, forwarded, path) == caller
        expected = 200 if caller == HOME else 403
        assert status(web, source, forwarded) == expected
        assert len(upstream.arrived) == (expected == 200)


@pytest.mark.parametrize("name", ["CF-Connecting-IP", "X-Real-IP", "Forwarded", "True-Client-IP", "X_Forwarded_For"])
@pytest.mark.parametrize("source", [TUNNEL, STRANGER])
def test_no_other_header_names_the_caller(web: Httpd, source: str, name: str) -> None:
    value = f"for={HOME}" if name == "Forwarded" else HOME
    connection = Connection(web, source)
    answer = connection.send((), {name: value})
    assert answer.status in (403, 400), answer.status
    connection.http.close()


def test_a_kept_connection_serves_several_callers(web: Httpd) -> None:
    """Tunnels keep connections, and send requests of different callers through one."""
    with Upstream(web.address, whole()):
        connection = Connection(web, TUNNEL)
        for forwarded, expected in ((HOME, 200), (ELSEWHERE, 403), (HOME, 200), ("unknown", 403), (HOME, 200)):
            answer = connection.send(forwarded)
            answer.read()
            assert answer.status == expected, forwarded


def test_without_the_setting_nobody_is_trusted(serve: Serve) -> None:
    web = serve(proxy_access="networks", proxy_allowed_networks=["192.168.1.0/24"])
    assert "remoteip" not in web.execute("cat /usr/local/apache2/conf/hearth/httpd.conf").output
    for source in (TUNNEL, STRANGER, "127.0.0.1"):
        assert status(web, source, HOME) == 403


def test_the_limit_per_caller_sees_through_the_tunnel(serve: Serve) -> None:
    """And all addresses of one IPv6 network are one caller: each device has as many as it likes."""
    web = serve(proxy_trusted_proxies=TRUSTED, proxy_max_streams=10, proxy_max_streams_per_caller=1)
    with Upstream(web.address, words(1000, 0.1)):
        open_streams = []
        for caller in (HOME, ELSEWHERE, "2001:db8:0:1::5", "2001:db8:0:2::5", "2001::1:1:2:3:4", "::5"):
            connection = Connection(web, TUNNEL)
            assert connection.send(caller).status == 200, caller
            open_streams.append(connection)
        for caller, name in (
            (HOME, HOME),
            ("2001:db8:0:1:ffff::6", "2001:db8:0:1::/64"),
            ("2001:db8::2:0:0:0:9", "2001:db8:0:2::/64"),
            ("2001:0:0:1::", "2001:0:0:1::/64"),
            ("::9:0:0:5", "0:0:0:0::/64"),
        ):
            answer = Connection(web, TUNNEL).send(caller)
            error = json.loads(answer.read())["error"]
            assert (answer.status, error.split(" has ")[0]) == (503, f"address {name}")
        # Without the tunnel, other addresses do not help.
        first = Connection(web, STRANGER)
        assert first.send("198.51.100.1").status == 200
        assert Connection(web, STRANGER).send("198.51.100.2").status == 503


def test_tls_that_ends_at_the_tunnel(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """Requests that a trusted proxy received over TLS are not redirected, and their page is the same origin."""
    host = "chat.example.org"
    site = Site(serve, ollama, tmp_path, proxy_trusted_proxies=TRUSTED, proxy_host_names=[host])
    web = site.web
    web.set_names({"ollama": web.address})

    def prompt(source: str, proto: str, origin: str, method: str = "POST") -> int:
        headers = {"Host": host, "X-Forwarded-Proto": proto} | ({"Origin": origin} if origin else {})
        connection = Connection(web, source)
        answer = connection.send(HOME, headers, method)
        answer.read()
        connection.http.close()
        return answer.status

    with Upstream(web.address, whole()) as upstream:
        assert prompt(TUNNEL, "https", f"https://{host}") == 200
        assert prompt(TUNNEL, "https", "") == 200
        assert len(upstream.arrived) == 2
        # An attacker on the network can modify a page of http://.
        assert prompt(TUNNEL, "https", f"http://{host}") == 403
        assert prompt(TUNNEL, "https", "https://evil.example") == 403
        assert prompt(TUNNEL, "http", f"https://{host}") == 308
        assert prompt(STRANGER, "https", f"https://{host}") == 308
        assert prompt("127.0.0.1", "https", f"https://{host}") == 308
        assert len(upstream.arrived) == 2


def test_the_name_of_the_host_comes_from_the_request_alone(serve: Serve) -> None:
    """X-Forwarded-Host would let a page of any name be the same origin, against the check of names."""
    web = serve(proxy_trusted_proxies=TRUSTED)
    with Upstream(web.address, whole()) as upstream:
        for source in (TUNNEL, STRANGER):
            connection = Connection(web, source)
            headers = {"X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}
            assert connection.send(HOME, headers).status == 403
            assert status(web, source, HOME) == 200
        assert len(upstream.arrived) == 2
