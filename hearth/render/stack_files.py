"""Files of the stack, rendered from settings on the control machine.

Templates live in `files/`, as they look on the host. A compose file that YAML can't read never leaves this module.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hearth.render.access_rules import find_gates
from hearth.settings.model import Settings
from hearth.settings.origins import httpd_pattern, ollama_origins
from hearth.settings.routes import Route
from hearth.settings.types import size_in_bytes

FILES = Path(__file__).resolve().parents[2] / "files"
# Beside those of answers that run: for questions that wait for a place, for clients that send slowly (each holds one
# until RequestReadTimeout), and for the page itself, which must stay quick meanwhile. All of them take some 20 MB.
_SPARE_THREADS = 252


@cache
def _environment(html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FILES),
        undefined=StrictUndefined,
        autoescape=html,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = _compose_string
    return environment


def render(name: str, **variables: Any) -> str:
    """A template of `files/` that is no HTML, filled in."""
    return _environment(html=False).get_template(name).render(**variables)


def _compose_string(value: str) -> str:
    """A double-quoted YAML scalar (JSON is YAML), with `$` doubled since Compose would interpolate it."""
    return json.dumps(value.replace("$", "$$"))


def render_compose(settings: Settings) -> str:
    """`compose.yaml` of the stack.

    Raises:
        ValueError: the rendered text is not a Compose file with our services.
    """
    text = (
        _environment(html=False)
        .get_template("compose.yaml.j2")
        .render(
            **dict(settings),
            ollama_origins=ollama_origins(settings.allowed_origins),
            needs_host_gateway=settings.needs_host_gateway,
            keeps_secrets=settings.keeps_secrets,
            uses_networks=_anywhere(settings, "networks"),
            has_tls_files=settings.has_tls_files,
        )
    )
    document: Any = yaml.safe_load(text)
    if set(document["services"]) != {"ollama", "httpd"}:
        raise ValueError(f"compose.yaml.j2 gives the services {sorted(document['services'])}, not ollama and httpd")
    return text


def render_httpd_conf(settings: Settings) -> str:
    """`httpd.conf`: the route table, the origin policy and the limits of the proxy."""
    return (
        _environment(html=False)
        .get_template("httpd/httpd.conf.j2")
        .render(
            **dict(settings),
            threads=settings.proxy_max_streams + _SPARE_THREADS,
            max_body=size_in_bytes(settings.proxy_max_body),
            origin_pattern=httpd_pattern(settings.allowed_origins),
            # httpd knows no IPv6 address as a server's name; it answers to all of them anyhow.
            server_names=[name for name in settings.proxy_tls_names if ":" not in name],
            host_pattern=_host_pattern(settings.host_names),
            routes=settings.routes,
            quick_routes=[route for route in settings.routes if route.is_quick],
            route_pattern=path_pattern(tuple(route for route in settings.routes if route.is_ollama)),
            method_groups=_method_groups(settings.routes),
            **_access(settings),
        )
    )


def _access(settings: Settings) -> dict[str, Any]:
    """What httpd.conf.j2 needs to know of who may call."""
    routes = settings.routes
    guarded = tuple(route for route in routes if not route.is_ollama and settings.access_of(route).people)
    uploads = tuple(route for route in routes if route.is_upload)
    return {
        "page_access": settings.page_access,
        "gates": find_gates(settings),
        "keeps_secrets": settings.keeps_secrets,
        "knows_people": _anywhere(settings, "people"),
        "knows_programs": _anywhere(settings, "programs"),
        "uses_networks": _anywhere(settings, "networks"),
        "people_backends": path_pattern(guarded) if guarded else "",
        "uploads": path_pattern(uploads) if uploads else "",
    }


def _anywhere(settings: Settings, word: str) -> bool:
    return any(getattr(access, word) for access in settings.accesses)


def _host_pattern(names: tuple[str, ...]) -> str:
    """A regular expression (PCRE) for the `Host` that is answered to, without a port."""
    declared = "".join(f"|{re.escape(name)}" for name in names)
    return rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9a-f:.]+\]|localhost|[a-z0-9-]+(?:\.local)?{declared})"


def path_pattern(routes: tuple[Route, ...]) -> str:
    """A regular expression (PCRE) that matches the paths of the routes and nothing else."""
    return f"^(?:{'|'.join(route.pattern for route in routes)})$" if routes else "^(?!)"


def _method_groups(routes: tuple[Route, ...]) -> list[tuple[tuple[str, ...], str, bool]]:
    """(methods, pattern, whether to Ollama) for each set of methods. Prefixes come first: httpd's last match wins."""

    def key(route: Route) -> tuple[bool, int, bool, tuple[str, ...]]:
        return (not route.is_prefix, len(route.path) if route.is_prefix else 0, route.is_ollama, route.methods)

    groups = groupby(sorted(routes, key=key), key=key)
    return [(methods, path_pattern(tuple(members)), is_ollama) for (_, _, is_ollama, methods), members in groups]


def render_page(settings: Settings) -> dict[str, bytes]:
    """The chat page's files: name to content."""
    page = FILES / "htdocs"
    index = _environment(html=True).get_template("htdocs/index.html.j2").render(chat_title=settings.chat_title)
    files = {path.name: path.read_bytes() for path in sorted(page.iterdir()) if path.suffix != ".j2"}
    return files | {"index.html": index.encode()}


def render_tree(settings: Settings) -> dict[str, bytes]:
    """Every file that Hearth keeps in `/opt/hearth`: relative path to content."""
    page = {f"htdocs/{name}": content for name, content in render_page(settings).items()}
    return page | {
        "compose.yaml": render_compose(settings).encode(),
        "ollama/health.bash": (FILES / "ollama/health.bash").read_bytes(),
        "httpd/httpd.conf": render_httpd_conf(settings).encode(),
    }
