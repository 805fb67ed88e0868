"""Web origins as browsers write them, and as Ollama and httpd need them written.

Ollama panics at start on an OLLAMA_ORIGINS entry that its CORS library refuses (ollama#1686, #2751, #8880),
and silently never matches an entry that no browser would send. Both are refused here, before a host is touched.
"""

from __future__ import annotations

import ipaddress
import re

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"^(?:\*\.)?{_LABEL}(?:\.{_LABEL})*$")
_ORIGIN = re.compile(r"^(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^/:?#\[\]@]+)(?::(?P<port>[0-9]{1,5}))?$")


def check_origin(value: str) -> str:
    """Return `value` if a browser could send it as `Origin` and Ollama accepts it; else say the right spelling.

    An entry is `scheme://host[:port]`, lower case, without path or trailing slash and without the scheme's
    default port. One `*` may stand for the leftmost labels of the host: `https://*.example.org`.

    Raises:
        ValueError: with the reason and, where there is one, the right spelling.
    """
    if not value.strip():
        raise ValueError("an origin is empty; remove the entry")
    if value == "null":
        raise ValueError(
            '"null" would let in every sandboxed frame and local file, and Ollama does not start with it; '
            "serve the page over http:// and list that origin"
        )
    if "," in value:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        raise ValueError(f"one entry per origin, without commas: {parts!r}")
    right = _right_spelling(value)
    if right != value:
        raise ValueError(f'a browser never sends it like that; write "{right}"')
    if value.count("*") > 1 or value == "*":
        raise ValueError('name the pages that may call, with at most one "*": "https://*.example.org"')
    match = _ORIGIN.fullmatch(value)
    if match is None:
        raise ValueError('an origin is scheme://host or scheme://host:port, such as "http://192.168.1.20:8080"')
    _check_host(match["host"])
    if match["port"] is not None and not 0 < int(match["port"]) < 65536:
        raise ValueError(f"{match['port']} is no port; 1 to 65535 would be right")
    return value


def _right_spelling(value: str) -> str:
    """What a browser would have sent for what was probably meant."""
    text = value.strip().strip("\"'").lower()
    if "://" not in text and text != "*":
        text = f"http://{text}"
    scheme, separator, rest = text.partition("://")
    rest = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    host, colon, port = rest.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) < 6:
        number = int(port)
        rest = host if number == _DEFAULT_PORTS.get(scheme) else f"{host}:{number}"
    return f"{scheme}{separator}{rest}"


def _check_host(host: str) -> None:
    if host.startswith("["):
        try:
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{host} is no IPv6 address") from None
        if f"[{address.compressed}]" != host:
            raise ValueError(f'a browser never sends it like that; write "[{address.compressed}]"')
        return
    if not host.isascii():
        try:
            plain = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f'"{host}" is no host name') from None
        raise ValueError(f'browsers send "{plain}" for this host; write that')
    if "*" in host and not host.startswith("*."):
        raise ValueError(
            'a "*" may only stand for the leftmost part of a name, as in "https://*.example.org": '
            "anywhere else Ollama would also let in names of other people"
        )
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{host}" is no host name')


def ollama_origins(origins: tuple[str, ...]) -> str:
    """The value of OLLAMA_ORIGINS: joined by bare commas, since Ollama trims nothing."""
    return ",".join(origins)


def httpd_pattern(origins: tuple[str, ...]) -> str:
    """A regular expression (PCRE, anchored) that matches exactly the listed origins, for `SetEnvIf Origin`.

    A `*.` stands for one or more whole labels. An empty list gives a pattern that matches nothing.
    """
    if not origins:
        return "^(?!)$"
    patterns = [re.escape(origin).replace(r"\*\.", r"(?:[a-z0-9-]+\.)+") for origin in origins]
    return f"^({'|'.join(patterns)})$"
