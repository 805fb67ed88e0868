"""Rules between the settings of TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hearth.settings.model import Settings
from hearth.settings.tls import PRIVATE_SUFFIXES, parse_address


def check_tls(settings: Settings) -> None:
    """Refuse settings of TLS that can't work together.

    Raises:
        ValueError: naming the settings, and what would be right.
    """
    mode, names = settings.proxy_tls, settings.proxy_tls_names
    if mode == "off":
        return
    _check_ports(settings)
    if len(set(names)) != len(names):
        raise ValueError(f"proxy_tls_names = {list(names)!r}: one entry per name")
    given = f'proxy_tls = "{mode}" and'
    if mode == "files" and not settings.proxy_tls_certificate:
        raise ValueError(f'{given} proxy_tls_certificate = "": a PEM file on this computer, "~/certificates/pi.pem"')
    if mode == "files" and settings.proxy_tls_key is None:
        raise ValueError(
            f'{given} proxy_tls_key = "": where the key is read from, such as {{"file": "~/certificates/pi.key"}}'
        )
    if mode == "local-ca" and not names:
        raise ValueError(
            f"{given} proxy_tls_names = []: the names and addresses under which you open the page would be right, "
            'such as ["pi.local", "192.168.1.189"]'
        )
    if mode == "local-ca" and not settings.proxy_tls_ca:
        raise ValueError(f'{given} proxy_tls_ca = "": a directory such as "~/.config/hearth/ca" would be right')
    if mode == "acme":
        _check_acme(settings)


def _check_ports(settings: Settings) -> None:
    port = settings.proxy_tls_port
    if port == settings.proxy_port:
        raise ValueError(
            f"proxy_port = {port} and proxy_tls_port = {port} want the same port; the plain one only sends browsers on "
            "to the other, so 80 and 443 would be right"
        )
    if settings.ollama_publish.endswith(f":{port}"):
        raise ValueError(
            f"proxy_tls_port = {port} and ollama_publish = {settings.ollama_publish!r} want the same port; give one of "
            "them another"
        )


def _check_acme(settings: Settings) -> None:
    given = 'proxy_tls = "acme" and'
    if not settings.proxy_tls_names:
        raise ValueError(f'{given} proxy_tls_names = []: the public name would be right, such as ["chat.example.org"]')
    for name in settings.proxy_tls_names:
        is_private = any(name == suffix or name.endswith(f".{suffix}") for suffix in PRIVATE_SUFFIXES)
        # An authority of one's own may know private names.
        public = "letsencrypt.org" in settings.proxy_acme_directory
        if parse_address(name) is not None or (public and (is_private or "." not in name)):
            raise ValueError(
                f"{given} proxy_tls_names has {name!r}: the authority gives certificates for public names only; for "
                'others, proxy_tls = "local-ca" would be right'
            )
    if not settings.proxy_acme_contact:
        raise ValueError(f'{given} proxy_acme_contact = "": your e-mail address, which httpd asks for, would be right')
    if settings.proxy_acme_terms != "accepted":
        raise ValueError(
            f'{given} proxy_acme_terms = "": read the authority\'s terms of service, and write "accepted" if you '
            "accept them (Let's Encrypt's: https://letsencrypt.org/repository/)"
        )
    if settings.firewall_allowed_networks:
        raise ValueError(
            f"{given} firewall_allowed_networks = {list(settings.firewall_allowed_networks)!r} keeps the authority "
            "out, which looks from anywhere whether the name is yours; [] would be right, with proxy_access for who "
            "may call"
        )
    if not settings.proxy_acme_challenges:
        raise ValueError(f'{given} proxy_acme_challenges = []: ["tls-alpn-01", "http-01"], or one of them')
