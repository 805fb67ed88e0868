"""Rules between the TLS settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hearth.settings.model import Settings
from hearth.settings.tls import PRIVATE_SUFFIXES, parse_address


def check_tls(settings: Settings) -> None:
    """Reject TLS settings that contradict each other.

    Raises:
        ValueError: naming the settings, and what to write instead.
    """
    mode, names = settings.proxy_tls, settings.proxy_tls_names
    if mode == "off":
        return
    _check_ports(settings)
    if len(set(names)) != len(names):
        raise ValueError(f"proxy_tls_names = {list(names)!r} has duplicates; keep one entry per name")
    given = f'proxy_tls = "{mode}" and'
    if mode == "files" and not settings.proxy_tls_certificate:
        raise ValueError(
            f'{given} proxy_tls_certificate = ""; use a PEM file on this computer, such as "~/certificates/pi.pem"'
        )
    if mode == "files" and settings.proxy_tls_key is None:
        raise ValueError(
            f'{given} proxy_tls_key = ""; use a source to read it from, such as {{"file": "~/certificates/pi.key"}}'
        )
    if mode == "local-ca" and not names:
        raise ValueError(
            f"{given} proxy_tls_names = []; use the names and addresses that you open the page with, "
            'such as ["pi.local", "192.168.1.189"]'
        )
    if mode == "local-ca" and not settings.proxy_tls_ca:
        raise ValueError(f'{given} proxy_tls_ca = ""; use a directory, such as "~/.config/hearth/ca"')
    if mode == "acme":
        _check_acme(settings)


def _check_ports(settings: Settings) -> None:
    port = settings.proxy_tls_port
    if port == settings.proxy_port:
        raise ValueError(
            f"proxy_port = {port} and proxy_tls_port = {port} are the same port; the plain one only redirects to the "
            "other, so use 80 and 443"
        )
    if settings.ollama_publish.endswith(f":{port}"):
        raise ValueError(
            f"proxy_tls_port = {port} and ollama_publish = {settings.ollama_publish!r} use the same port; change one "
            "of them"
        )


def _check_acme(settings: Settings) -> None:
    given = 'proxy_tls = "acme" and'
    if not settings.proxy_tls_names:
        raise ValueError(f'{given} proxy_tls_names = []; use the public name, such as ["chat.example.org"]')
    for name in settings.proxy_tls_names:
        is_private = any(name == suffix or name.endswith(f".{suffix}") for suffix in PRIVATE_SUFFIXES)
        # A private CA may certify private names.
        public = "letsencrypt.org" in settings.proxy_acme_directory
        if parse_address(name) is not None or (public and (is_private or "." not in name)):
            raise ValueError(
                f"{given} proxy_tls_names has {name!r}: this CA certifies public names only; for others, use "
                'proxy_tls = "local-ca"'
            )
    if not settings.proxy_acme_contact:
        raise ValueError(f'{given} proxy_acme_contact = ""; use your e-mail address, which httpd requires')
    if settings.proxy_acme_terms != "accepted":
        raise ValueError(
            f'{given} proxy_acme_terms = "": read the CA\'s terms of service, and use "accepted" if you '
            "accept them (Let's Encrypt's: https://letsencrypt.org/repository/)"
        )
    if settings.firewall_allowed_networks:
        raise ValueError(
            f"{given} firewall_allowed_networks = {list(settings.firewall_allowed_networks)!r} blocks the CA, which "
            "validates the name from arbitrary addresses; use [], and restrict access with proxy_access"
        )
    if not settings.proxy_acme_challenges:
        raise ValueError(f'{given} proxy_acme_challenges = []; use ["tls-alpn-01", "http-01"], or one of them')
