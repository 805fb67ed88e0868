"""TLS, if configured: the responses of plain HTTP, and the certificate's names."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from hearth.paths import TLS, TLS_FILES, TLS_LIVE
from hearth.settings.model import Settings
from hearth.tls.certificate import WARN_DAYS, days_left, today, uncovered
from tests.acceptance.api import call
from tests.acceptance.conftest import Target


@pytest.fixture(autouse=True)
def _needs_tls(settings: Settings) -> None:
    if settings.proxy_tls == "off":
        pytest.skip('proxy_tls = "off"')


@pytest.mark.needs("page")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_redirects(target: Target, settings: Settings, method: str) -> None:
    plain = "http://{}:{}".format(*target.address_of(settings.proxy_port))
    answer = call(plain, method, "/api/ollama?x=1", {} if method == "POST" else None, {"Host": "pi"})
    port = "" if settings.proxy_tls_port == 443 else f":{settings.proxy_tls_port}"
    assert (answer.status, answer.all("location")) == (308, [f"https://pi{port}/api/ollama?x=1"])
    assert call(plain, "OPTIONS", "/api/ollama", None, {"Origin": "https://evil.example"}).status == 403
    assert call(plain, "GET", "/", None, {"Host": "evil.example"}).status == 421


def test_certificate_is_valid_for_the_configured_names(host: Any, settings: Settings) -> None:
    path = (
        f"/opt/hearth/acme/store/domains/{settings.proxy_tls_names[0]}/pubcert*.pem"
        if settings.proxy_tls == "acme"
        else f"{TLS_LIVE}/server.pem"
    )
    shown = host.check_output(f"sh -c 'cat {path}' | sed -n '/BEGIN CERT/,/END CERT/p'")
    leaf = x509.load_pem_x509_certificates(shown.encode())[0]
    assert uncovered(leaf, settings.proxy_tls_names) == []
    assert days_left(leaf, today()) >= WARN_DAYS


def test_keys_are_only_readable_for_root_and_httpd(host: Any, settings: Settings) -> None:
    if not settings.has_tls_files:
        pytest.skip("httpd creates its keys itself")
    assert host.check_output(f"stat -c %a:%u:%g {TLS}") == "700:0:0"
    names = host.check_output(f"ls {TLS_LIVE}").split()
    for line in host.check_output(f"cd {TLS_LIVE} && stat -c '%n %a:%u:%g' {' '.join(names)}").splitlines():
        name, mode = line.split()
        assert mode == TLS_FILES[name]
