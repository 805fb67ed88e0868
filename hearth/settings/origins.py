"""Origins as browsers, apps and extensions send them, and in the notations of Ollama and httpd.

Ollama panics at start on an OLLAMA_ORIGINS entry that its CORS library rejects (ollama#1686, #2751, #8880),
and never matches an entry that no browser sends, without an error. Both are rejected here.
"""

from __future__ import annotations

import ipaddress
import re

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"^(?:\*\.)?{_LABEL}(?:\.{_LABEL})*$")
# Schemes of apps and extensions, and what follows "://". An app chooses its own; the browser assigns an extension's.
_NAME = r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_APPS = {
    "app": _NAME,  # Electron: app://obsidian.md
    "capacitor": _NAME,  # iOS
    "capacitor-electron": _NAME,
    "chrome-extension": "[a-p]{32}",
    "ionic": _NAME,
    "moz-extension": _UUID,
    "safari-web-extension": _UUID.replace("a-f", "A-F"),
    "tauri": _NAME,
    "vscode-file": _NAME,
    "vscode-webview": _NAME,
}
_LOWER_CASE = ("chrome-extension", "moz-extension")
# Ollama starts with these. It admits every app://, tauri://, vscode-webview:// and vscode-file:// anyway, and panics at
# start on the other schemes of apps (measured with 0.17.4).
_OLLAMA_SCHEMES = ("http", "https", "chrome-extension", "moz-extension")
_ORIGIN = re.compile(r"^(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^/:?#\[\]@]+)(?::(?P<port>[0-9]{1,5}))?$")


def check_origin(value: str) -> str:
    """Return `value` if a browser, an app or an extension could send it as `Origin`.

    An entry is `scheme://host[:port]`, lower case, without path or trailing slash and without the scheme's
    default port. One `*` may replace the leftmost labels of the host: `https://*.example.org`. An app's or extension's
    is complete, without `*`: `app://obsidian.md`.

    Raises:
        ValueError: with the reason and, where there is one, the correct form.
    """
    if not value.strip():
        raise ValueError("an origin is empty; remove the entry")
    if value == "null":
        raise ValueError(
            '"null" would allow every sandboxed frame and local file, and Ollama does not start with it; '
            "serve the page over http:// and list that origin"
        )
    if "," in value:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        raise ValueError(f"one entry per origin, without commas: {parts!r}")
    sent = _as_sent(value)
    if sent != value:
        raise ValueError(f'browsers send another form; use "{sent}"')
    scheme, _, name = value.partition("://")
    if scheme in _APPS:
        _check_app(scheme, name)
        return value
    if value.count("*") > 1 or value == "*":
        raise ValueError('list the pages that may call, with at most one "*": "https://*.example.org"')
    match = _ORIGIN.fullmatch(value)
    if match is None:
        raise ValueError(
            'an origin is scheme://host or scheme://host:port, such as "http://192.168.1.20:8080"; '
            f"schemes are http, https and those of apps: {', '.join(_APPS)}"
        )
    _check_host(match["host"])
    if match["port"] is not None and not 0 < int(match["port"]) < 65536:
        raise ValueError(f"{match['port']} is not a valid port; use 1 to 65535")
    return value


def _as_sent(value: str) -> str:
    """The origin that a browser sends for what was probably meant."""
    text = value.strip().strip("\"'")
    scheme, separator, name = text.partition("://")
    if scheme.lower() in _APPS and separator:
        scheme, name = scheme.lower(), re.split(r"[/?#]", name, maxsplit=1)[0]
        return f"{scheme}://{name.lower() if scheme in _LOWER_CASE else name}"
    text = text.lower()
    if "://" not in text and text != "*":
        text = f"http://{text}"
    scheme, separator, rest = text.partition("://")
    rest = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    host, colon, port = rest.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) < 6:
        number = int(port)
        rest = host if number == _DEFAULT_PORTS.get(scheme) else f"{host}:{number}"
    return f"{scheme}{separator}{rest}"


def _check_app(scheme: str, name: str) -> None:
    if "*" in name:
        raise ValueError('list each app and extension separately, without "*": "app://obsidian.md"')
    if not re.fullmatch(_APPS[scheme], name):
        form = {"chrome-extension": "32 letters from a to p", "moz-extension": "a UUID in lower case"}
        form["safari-web-extension"] = "a UUID in upper case"
        raise ValueError(
            f"after {scheme}:// comes {form.get(scheme, 'a name')}; use the whole origin (scheme://host) that the "
            "error in the developer tools or the proxy's log shows"
        )


def _check_host(host: str) -> None:
    if host.startswith("["):
        try:
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{host} is not a valid IPv6 address") from None
        if f"[{address.compressed}]" != host:
            raise ValueError(f'browsers send another form; use "[{address.compressed}]"')
        return
    if not host.isascii():
        try:
            plain = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f'"{host}" is not a valid host name') from None
        raise ValueError(f'browsers send "{plain}" for this host; use that')
    if "*" in host and not host.startswith("*."):
        raise ValueError(
            'a "*" may only replace the leftmost part of a name, as in "https://*.example.org"; '
            "elsewhere, Ollama would also allow other people's names"
        )
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{host}" is not a valid host name')


def ollama_origins(origins: tuple[str, ...]) -> str:
    """The value of OLLAMA_ORIGINS: those that Ollama starts with, joined by commas without spaces."""
    return ",".join(origin for origin in origins if origin.partition("://")[0] in _OLLAMA_SCHEMES)


def httpd_pattern(origins: tuple[str, ...]) -> str:
    """A regular expression (PCRE, anchored) that matches exactly the listed origins, for `SetEnvIf Origin`.

    A `*.` matches one or more whole labels. An empty list gives a pattern that matches nothing.
    """
    if not origins:
        return "^(?!)$"
    patterns = [re.escape(origin).replace(r"\*\.", r"(?:[a-z0-9-]+\.)+") for origin in origins]
    return f"^({'|'.join(patterns)})$"
