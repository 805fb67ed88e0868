"""TLS settings: what is rejected, and what the templates generate from the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hearth.host.ports import Listener
from hearth.preflight.checks import find_obstacles
from hearth.preflight.facts import HostFactsState
from hearth.render.compose import render_compose
from hearth.render.httpd_conf import render_httpd_conf
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings

Make = Callable[..., Settings]

FILES = {"proxy_tls": "files", "proxy_tls_certificate": "~/pi.pem", "proxy_tls_key": {"file": "~/pi.key"}}
LOCAL = {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local", "192.168.1.189", "pi.fritz.box", "fd00::5"]}
ACME = {
    "proxy_tls": "acme",
    "proxy_tls_names": ["chat.example.org", "www.example.org"],
    "proxy_acme_terms": "accepted",
    "proxy_acme_contact": "anna@example.org",
}
MODES = pytest.mark.parametrize("mode", [FILES, LOCAL, ACME], ids=lambda mode: str(mode["proxy_tls"]))


def compose(settings: Settings) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render_compose(settings))["services"]["httpd"]
    return document


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"proxy_tls": "on"}, "'off', 'files', 'local-ca' or 'acme'"),
        (FILES | {"proxy_tls_certificate": ""}, 'proxy_tls_certificate = ""'),
        (FILES | {"proxy_tls_key": ""}, '{"file": "~/certificates/pi.key"}'),
        (FILES | {"proxy_tls_key": "-----BEGIN PRIVATE KEY-----"}, "never write secrets in the settings"),
        (LOCAL | {"proxy_tls_names": []}, '["pi.local", "192.168.1.189"]'),
        (LOCAL | {"proxy_tls_names": ["pi", "pi"]}, "one entry per name"),
        (LOCAL | {"proxy_tls_names": ["Pi.local"]}, '"pi.local"'),
        (LOCAL | {"proxy_tls_names": ["*.local"]}, '"pi.local"'),
        (LOCAL | {"proxy_tls_names": ["https://pi.local"]}, '"pi.local"'),
        (LOCAL | {"proxy_tls_names": ["192.168.1.300"]}, '"192.168.1.189"'),
        (LOCAL | {"proxy_tls_names": ["FD00::5"]}, '"fd00::5"'),
        (LOCAL | {"proxy_tls_names": ["0.0.0.0"]}, "browsers can't open"),
        (LOCAL | {"proxy_tls_ca": ""}, '"~/.config/hearth/ca"'),
        (LOCAL | {"proxy_tls_port": 85}, "80 and 443"),
        (LOCAL | {"proxy_tls_port": 11434}, "ollama_publish"),
        (LOCAL | {"proxy_tls_hsts_days": -1}, "greater than or equal to 0"),
        (ACME | {"proxy_tls_names": []}, '["chat.example.org"]'),
        (ACME | {"proxy_tls_names": ["pi.local"]}, '"local-ca"'),
        (ACME | {"proxy_tls_names": ["pi"]}, '"local-ca"'),
        (ACME | {"proxy_tls_names": ["192.168.1.189"]}, '"local-ca"'),
        (ACME | {"proxy_acme_terms": ""}, "terms of service"),
        (ACME | {"proxy_acme_terms": "yes"}, "accepted"),
        (ACME | {"proxy_acme_contact": ""}, "e-mail"),
        (ACME | {"proxy_acme_contact": "anna"}, "anna@example.org"),
        (ACME | {"proxy_acme_contact": 'a@b.c"\nLoadModule x'}, "anna@example.org"),
        (ACME | {"proxy_acme_directory": "http://acme.example/dir"}, "https://"),
        (ACME | {"proxy_acme_directory": 'https://acme.example/dir" x'}, "https://"),
        (ACME | {"firewall_allowed_networks": ["192.168.1.0/24"]}, "blocks the CA"),
        (ACME | {"proxy_acme_challenges": []}, "one of them"),
        (ACME | {"proxy_acme_challenges": ["dns-01"]}, "tls-alpn-01"),
    ],
)
def test_contradictions_are_rejected(make_settings: Make, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        make_settings(**values)
    assert message in str(error.value)
    assert "proxy_" in str(error.value)


def test_a_private_ca_may_certify_private_names(make_settings: Make) -> None:
    make_settings(**ACME | {"proxy_tls_names": ["pi.lan"], "proxy_acme_directory": "https://ca.lan:9000/acme/dir"})


@MODES
def test_the_port_is_published_and_checked(make_settings: Make, mode: dict[str, Any]) -> None:
    settings = make_settings(**mode, proxy_tls_port=8443)
    assert compose(settings)["ports"] == ["85:80", "8443:443"]
    assert ("0.0.0.0", 8443) in settings.published_ports
    host = HostFactsState(listeners=(Listener("*", 8443, "nginx", 7),))
    assert any(
        line.startswith("proxy_tls_port = 8443: the port is held by nginx") for line in find_obstacles(settings, host)
    )


def test_no_trace_of_tls_if_it_is_off(make_settings: Make) -> None:
    settings = make_settings(**LOCAL | {"proxy_tls": "off"})
    assert compose(settings)["ports"] == ["85:80"]
    assert settings.published_ports == {("0.0.0.0", 85), ("127.0.0.1", 11434)}
    assert settings.host_names == (), "without TLS there is no certificate"
    assert not re.search("(?i)ssl|Listen 443|VirtualHost|tls", render_httpd_conf(settings))
    assert render_httpd_conf(settings) == render_httpd_conf(make_settings())
    assert render_compose(settings) == render_compose(make_settings())


@MODES
def test_httpd_has_the_mounts_that_it_needs(make_settings: Make, mode: dict[str, Any]) -> None:
    mounts = {one["source"]: one for one in compose(make_settings(**mode))["volumes"]}
    certificates, store = mounts.get("./tls/live"), mounts.get("./acme/store")
    assert (certificates is not None) == (mode is not ACME)
    assert certificates is None or certificates["read_only"] is True
    assert (store is not None) == (mode is ACME)
    assert all(one["bind"]["create_host_path"] is False for one in mounts.values())


def test_the_root_of_a_private_ca_is_mounted(make_settings: Make) -> None:
    settings = make_settings(**ACME, proxy_acme_trust="~/root.pem")
    assert "./tls/live" in {one["source"] for one in compose(settings)["volumes"]}
    assert "MDCACertificateFile /usr/local/apache2/conf/tls/acme-trust.pem\n" in render_httpd_conf(settings)


@MODES
def test_the_certificates_names_are_served(make_settings: Make, mode: dict[str, Any]) -> None:
    settings = make_settings(**mode, proxy_host_names=["old.example.org"])
    pattern = re.compile(r"RewriteCond %\{HTTP_HOST\} !(\S+) \[NC\]\nRewriteRule \^ - \[R=421").search(
        render_httpd_conf(settings)
    )
    assert pattern is not None
    for name in (*mode.get("proxy_tls_names", ()), "old.example.org"):
        host = f"[{name}]" if ":" in name else name
        assert re.fullmatch(pattern[1], host), host
    assert not re.fullmatch(pattern[1], "evil.example")


@MODES
def test_rules_apply_to_tls_and_plain_http(make_settings: Make, mode: dict[str, Any]) -> None:
    """They are outside the virtual hosts, which inherit them."""
    conf = render_httpd_conf(make_settings(**mode))
    hosts = re.findall(r"<VirtualHost \*:(\d+)>(.*?)</VirtualHost>", conf, re.DOTALL)
    assert [port for port, _ in hosts] == ["443", "80"]
    assert all("RewriteEngine On\n  RewriteOptions Inherit\n" in content for _, content in hosts)
    assert conf.count("[R=421,L]") == conf.count("[R=413,L]") == 1
    assert "SSLEngine" not in hosts[1][1]


@pytest.mark.parametrize(
    ("port", "target"), [(443, "https://%1%{REQUEST_URI}"), (8443, "https://%1:8443%{REQUEST_URI}")]
)
def test_plain_http_redirects_to_the_published_port(make_settings: Make, port: int, target: str) -> None:
    assert f"RewriteRule ^ {target} [R=308,L]" in render_httpd_conf(make_settings(**LOCAL, proxy_tls_port=port))


def test_acme_directives_match_the_settings(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(**ACME, proxy_acme_challenges=["http-01"]))
    for line in (
        'MDCertificateAuthority "https://acme-v02.api.letsencrypt.org/directory"',
        "MDCertificateAgreement accepted",
        "MDContactEmail anna@example.org",
        "MDCAChallenges http-01",
        "MDomain chat.example.org www.example.org",
        "  ServerName chat.example.org",
        "  ServerAlias www.example.org",
    ):
        assert f"\n{line}\n" in conf, line
    assert "SSLCertificateFile" not in conf


def test_the_certificate_loop_ends_in_the_images_own_command(make_settings: Make) -> None:
    shell, option, script = compose(make_settings(**ACME))["command"]
    assert (shell, option) == ("bash", "-c")
    assert script.endswith("& exec httpd-foreground -f /usr/local/apache2/conf/hearth/httpd.conf")
    assert compose(make_settings(**LOCAL))["command"][0] == "httpd-foreground"
