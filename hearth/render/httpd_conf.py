"""Settings to `httpd.conf`: routes, origin policy, limits."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from hearth.render.access_rules import find_access_rules
from hearth.render.compose import any_access
from hearth.render.templates import environment
from hearth.settings.model import Settings
from hearth.settings.origins import httpd_pattern
from hearth.settings.routes import Route
from hearth.settings.types import size_in_bytes

# In addition to those of in-flight responses: for queued requests, for slow clients (each holds a thread until
# RequestReadTimeout), and for the page itself, which must stay responsive. All of them use about 20 MB.
_SPARE_THREADS = 252


def render_httpd_conf(settings: Settings) -> str:
    """`httpd.conf`: the route table, the origin policy and the limits of the proxy."""
    return (
        environment(html=False)
        .get_template("httpd/httpd.conf.j2")
        .render(
            **dict(settings),
            threads=settings.proxy_max_streams + _SPARE_THREADS,
            max_body=size_in_bytes(settings.proxy_max_body),
            origin_pattern=httpd_pattern(settings.allowed_origins),
            # httpd does not support IPv6 addresses as server names, and serves all of them anyway.
            server_names=[name for name in settings.proxy_tls_names if ":" not in name],
            host_pattern=_host_pattern(settings.host_names),
            routes=settings.routes,
            quick_routes=[route for route in settings.routes if route.is_quick],
            # Those that take a slot of proxy_max_streams.
            slot_pattern=path_pattern(
                tuple(route for route in settings.routes if route.is_ollama and not (route.is_quick or route.is_upload))
            ),
            route_pattern=path_pattern(tuple(route for route in settings.routes if route.is_ollama)),
            method_groups=_method_groups(settings.routes),
            **_access(settings),
        )
    )


def _access(settings: Settings) -> dict[str, Any]:
    """Access-related variables of httpd.conf.j2."""
    routes = settings.routes
    guarded = tuple(route for route in routes if not route.is_ollama and settings.access_of(route).users)
    uploads = tuple(route for route in routes if route.is_upload)
    return {
        "page_access": settings.page_access,
        "access_rules": find_access_rules(settings),
        "uses_credentials": settings.uses_credentials,
        "has_users": any_access(settings, "users"),
        "has_api_keys": any_access(settings, "api_keys"),
        "uses_networks": any_access(settings, "networks"),
        "user_backends": path_pattern(guarded) if guarded else "",
        "uploads": path_pattern(uploads) if uploads else "",
    }


def _host_pattern(names: tuple[str, ...]) -> str:
    """A regular expression (PCRE) for the `Host` values that are served, without a port."""
    declared = "".join(f"|{re.escape(name)}" for name in names)
    return rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9a-f:.]+\]|localhost|[a-z0-9-]+(?:\.local)?{declared})"


def path_pattern(routes: tuple[Route, ...]) -> str:
    """A regular expression (PCRE) that matches exactly the paths of the routes."""
    return f"^(?:{'|'.join(route.pattern for route in routes)})$" if routes else "^(?!)"


def _method_groups(routes: tuple[Route, ...]) -> list[tuple[tuple[str, ...], str, bool]]:
    """(methods, pattern, is Ollama's) for each set of methods. Prefixes come first: httpd's last match wins."""

    def key(route: Route) -> tuple[bool, int, bool, tuple[str, ...]]:
        return (not route.is_prefix, len(route.path) if route.is_prefix else 0, route.is_ollama, route.methods)

    groups = groupby(sorted(routes, key=key), key=key)
    return [(methods, path_pattern(tuple(members)), is_ollama) for (_, _, is_ollama, methods), members in groups]
