"""The structure of generated files as parsed by their readers, and harmless settings with the same structure.

An injection would add a directive, a key, an element or a word compared with the harmless settings.
"""

from __future__ import annotations

import re
import shlex
import string
from html.parser import HTMLParser
from itertools import zip_longest
from typing import Any

from hearth.settings.model import Settings
from hearth.settings.routes import Route


def tame(settings: Settings) -> Settings:
    """Settings that result in files of the same structure, with each text replaced by a harmless word."""
    paths = {route.path: _tame_path(route.path, number) for number, route in enumerate(settings.routes)}
    return settings.model_copy(
        update={
            "ollama_image": "a:1",
            "proxy_image": "b:1",
            "chat_title": "T",
            "allowed_origins": tuple(f"http://o{number}.example" for number in range(len(settings.allowed_origins))),
            "proxy_host_names": tuple(f"h{number}.example" for number in range(len(settings.proxy_host_names))),
            "proxy_allowed_networks": tuple(
                f"10.{number}.0.0/16" for number in range(len(settings.proxy_allowed_networks))
            ),
            "firewall_allowed_networks": tuple(
                f"10.{number}.0.0/16" for number in range(len(settings.firewall_allowed_networks))
            ),
            "proxy_routes": tuple(_tame_route(route, paths) for route in settings.proxy_routes),
            "proxy_extra_routes": tuple(_tame_route(route, paths) for route in settings.proxy_extra_routes),
            "ollama_models": tuple(f"m{number}" for number in range(len(settings.ollama_models))),
            "ollama_models_dir": settings.ollama_models_dir and "/d",
            "ollama_model_registry": settings.ollama_model_registry and "http://r:1",
            "docker_apt_url": "http://u",
            "docker_registry_mirrors": tuple(
                f"http://m{number}" for number in range(len(settings.docker_registry_mirrors))
            ),
        }
    )


def _tame_path(path: str, number: int) -> str:
    """A path of the same length, which keeps the routes in order of their numbers."""
    if path.endswith("/{model}"):
        return _tame_path(path.removesuffix("{model}"), number) + "{model}"
    slash = "/" if path.endswith("/") else ""
    return "/" + (string.digits + string.ascii_letters)[number].ljust(len(path) - 1 - len(slash), "x") + slash


def _networks(count: int) -> tuple[str, ...]:
    return tuple(f"10.{number}.0.0/16" for number in range(count))


def _tame_route(route: Route, paths: dict[str, str]) -> Route:
    slash = "/" if route.to.endswith("/") else ""
    host = "host.docker.internal" if route.host_gateway else "b"
    to = route.to if route.is_ollama else f"http://{host}:1/{'' if slash else 'x'}"
    return route.model_copy(update={"path": paths[route.path], "to": to})


def keys(document: Any, path: str = "") -> list[str]:
    """All paths in a document of mappings and lists, without the values."""
    if isinstance(document, dict):
        return [
            key
            for name, value in sorted(document.items())
            for key in (f"{path}.{name}", *keys(value, f"{path}.{name}"))
        ]
    if isinstance(document, list):
        return [key for value in document for key in (f"{path}[]", *keys(value, f"{path}[]"))]
    return []


def directives(dump: str) -> list[tuple[str, list[str]]]:
    """The output of `httpd -D DUMP_CONFIG`: name and arguments of each directive and section, in order."""
    lines = (line.strip() for line in dump.splitlines())
    return [_directive(line) for line in lines if line and not line.startswith("#")]


def _directive(line: str) -> tuple[str, list[str]]:
    name, _, rest = line.strip("<>").partition(" ")
    words = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', rest)
    return name, [quoted or bare for quoted, bare in words]


def outline(found: list[tuple[str, list[str]]]) -> list[tuple[str, int]]:
    """Name of each directive, and how many arguments it has."""
    return [(name, len(arguments)) for name, arguments in found]


class Page(HTMLParser):
    """The elements of a page, with the names of their attributes, and its texts and attributes' values."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.texts += [value or "" for _, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("!", (data,)))


def unlike(script: str, plain: str) -> list[tuple[str, str]]:
    """Pairs of lines of two shell scripts that differ in the number of words."""
    pairs = list(zip_longest(script.split("\n"), plain.split("\n"), fillvalue=""))
    return [(one, other) for one, other in pairs if one != other and _words(one) != _words(other)]


def _words(line: str) -> int:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return len(list(lexer))
