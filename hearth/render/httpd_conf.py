"""Settings to `httpd.conf`: routes, origin policy, limits."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from hearth.paths import BACKENDS_PATH, DRAINED_CONF, METRICS_PATH, REQUESTS_PATH, UNAUTHORIZED_PATH
from hearth.render.access_rules import find_access_rules
from hearth.render.compose import any_access
from hearth.render.templates import environment
from hearth.settings.model import Settings
from hearth.settings.origins import httpd_pattern
from hearth.settings.providers import PROVIDER_SLOTS, provider_mark
from hearth.settings.routes import OLLAMA_ENDPOINTS, Route, own_paths, provider_routes
from hearth.settings.rules import MAX_SLOTS
from hearth.settings.types import size_in_bytes

# In addition to those of in-flight responses: for queued requests, for slow clients (each holds a thread until
# RequestReadTimeout), and for the page itself, which must stay responsive. All of them use about 20 MB.
_SPARE_THREADS = 252
# First parts of the API's paths; and of those in OpenAI's format.
_API = (("api", "v1"), ("v1",))
# Milliseconds that a request waits for a slot of one backend before httpd tries one of another priority.
_SPILL = 250


def render_httpd_conf(settings: Settings) -> str:
    """`httpd.conf`: the route table, the origin policy and the limits of the proxy."""
    return (
        environment(html=False)
        .get_template("httpd/httpd.conf.j2")
        .render(
            **dict(settings),
            threads=settings.total_slots + settings.provider_slots + _SPARE_THREADS,
            pools=_pools(settings),
            tls_backends=settings.tls_backends,
            backends={member.name: member.url for members in settings.ollama_pools.values() for member in members},
            backends_path=BACKENDS_PATH,
            drained_conf=DRAINED_CONF,
            **_providers(settings),
            max_body=size_in_bytes(settings.proxy_max_body),
            origin_pattern=httpd_pattern(settings.allowed_origins),
            # httpd does not support IPv6 addresses as server names, and serves all of them anyway.
            server_names=[name for name in settings.proxy_tls_names if ":" not in name],
            host_pattern=_host_pattern(settings.host_names),
            routes=settings.routes,
            quick_routes=[route for route in settings.routes if route.is_quick],
            requests_path=REQUESTS_PATH,
            unauthorized_path=UNAUTHORIZED_PATH,
            # Those that take a slot of proxy_max_streams.
            slot_pattern=path_pattern(
                tuple(
                    route for route in settings.routes if route.is_ollama and not (route.is_quick or route.is_upload)
                ),
                settings.routes,
            ),
            **_patterns(settings.routes, settings.named_pools, tuple(settings.proxy_providers)),
            method_groups=_method_groups(settings.routes),
            metrics_path=METRICS_PATH,
            uses_acme_proxy=settings.uses_acme_proxy,
            **_access(settings),
        )
    )


def render_backend_conf(settings: Settings) -> str:
    """`httpd.conf` of a backend that is reached over TLS."""
    endpoints = [Route(path=path, to=path, methods=tuple(methods)) for path, methods in OLLAMA_ENDPOINTS.items()]  # type: ignore[arg-type]
    return (
        environment(html=False)
        .get_template("httpd/backend.conf.j2")
        .render(
            proxy_timeout=settings.proxy_timeout,
            threads=MAX_SLOTS + _SPARE_THREADS,
            proxy_log=settings.proxy_log,
            requests_path=REQUESTS_PATH,
            pattern="|".join(route.pattern for route in endpoints),
            slot_pattern="|".join(route.pattern for route in endpoints if not route.is_quick),
        )
    )


def _access(settings: Settings) -> dict[str, Any]:
    """Access-related variables of httpd.conf.j2."""
    routes = settings.routes
    guarded = tuple(route for route in routes if route.is_backend and settings.access_of(route).users)
    uploads = tuple(route for route in routes if route.is_upload)
    patterns = [
        *([path_pattern(guarded)] if guarded else []),
        *([f"^{METRICS_PATH}$"] if settings.metrics_access else []),
    ]
    return {
        "page_access": settings.page_access,
        "access_rules": find_access_rules(settings),
        "uses_credentials": settings.uses_credentials,
        "has_users": any_access(settings, "users"),
        "has_api_keys": any_access(settings, "api_keys"),
        "uses_networks": any_access(settings, "networks"),
        "user_backends": "|".join(patterns),
        "uploads": path_pattern(uploads) if uploads else "",
    }


def _host_pattern(names: tuple[str, ...]) -> str:
    """A regular expression (PCRE) for the `Host` values that are served, without a port."""
    # A name with a dot may also have one at its end. Nobody can register names in .internal, which container engines
    # and virtual machines use for the host (host.docker.internal).
    dotted = "|".join((r"[a-z0-9_-]+\.local", r"(?:[a-z0-9_-]+\.)+internal", *(re.escape(name) for name in names)))
    return rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9a-f:.]+\]|[a-z0-9_-]+|(?:{dotted})\.?)"


def path_pattern(routes: tuple[Route, ...], among: tuple[Route, ...] = ()) -> str:
    """A regular expression (PCRE) that matches exactly the paths of the routes, without those of others `among` which
    they are."""
    if not routes:
        return "^(?!)"
    return f"^(?:{'|'.join(own_paths(route, among) if route.names_model else route.pattern for route in routes)})$"


def _pools(settings: Settings) -> list[dict[str, Any]]:
    """The balancers of httpd.conf.j2, each with its members."""
    pools = []
    for name, members in settings.ollama_pools.items():
        last = max(member.priority for member in members)
        others = sum(member.priority < last for member in members)
        spill = min(_SPILL, settings.proxy_queue_timeout * 1000 // len(members))
        rest = (settings.proxy_queue_timeout * 1000 - spill * others) // (len(members) - others)
        pools.append(
            {
                "name": name,
                "members": [
                    {
                        "url": member.url,
                        "name": member.name,
                        "is_tls": member.is_tls,
                        "lbset": member.priority - 1,
                        "slots": settings.slots_of(member),
                        "acquire": rest if member.priority == last else spill,
                        "is_last_resort": member.priority == last and others == len(members) - 1,
                    }
                    for member in members
                ],
            }
        )
    return pools


def _providers(settings: Settings) -> dict[str, Any]:
    """The providers of httpd.conf.j2, and the addresses that they share, longest first: a <Proxy> after one whose URL
    is its prefix would change that one."""
    urls = {provider.url for provider in settings.proxy_providers.values()}
    routes = provider_routes(settings.proxy_providers)
    return {
        "provider_slots": PROVIDER_SLOTS,
        "provider_pattern": path_pattern(routes),
        "provider_urls": sorted(urls, key=lambda url: (-len(url), url)),
        "providers": [
            {
                "name": name,
                "api": provider.api,
                "mark": provider_mark(name, provider),
                "pattern": path_pattern(tuple(route for route in routes if route.path.startswith(f"/{name}/"))),
            }
            for name, provider in settings.proxy_providers.items()
        ],
    }


def _patterns(
    routes: tuple[Route, ...], pools: tuple[str, ...] = (), providers: tuple[str, ...] = ()
) -> dict[str, str]:
    """Regular expressions (PCRE) for paths: of routes to Ollama and to providers; where an API client expects a route
    and there may be none; of the API as a whole, without backends; and of its part that has OpenAI's format."""
    ollama = tuple(route for route in routes if not route.is_backend)
    openai = tuple(route for route in ollama if route.uses_openai_format)
    backends = tuple(route for route in routes if route.is_backend)
    others = tuple(route for route in routes if route not in openai)
    api, v1 = ("|".join([*names, *(f"{pool}/{name}" for pool in pools for name in names)]) for names in _API)
    api = "|".join([api, *providers])
    return {
        "route_pattern": path_pattern(ollama, routes),
        "unrouted_pattern": f"^{_below(api, backends)}$",
        "api_pattern": _also(_below(api, backends), ollama, routes),
        "openai_pattern": _also(_below(v1, others), openai, routes),
    }


def _below(names: str, without: tuple[Route, ...]) -> str:
    """A regular expression (PCRE) for top-level paths and everything below them, without the paths of some routes."""
    taken = [route.pattern for route in without if re.match(f"/(?:{names})(?:/|$)", route.path)]
    return (f"(?!(?:{'|'.join(taken)})$)" if taken else "") + f"/(?:{names})(?s:/.*)?"


def _also(pattern: str, more: tuple[Route, ...], routes: tuple[Route, ...]) -> str:
    """The pattern, anchored, and those of routes whose paths it lacks."""
    lacking = [own_paths(route, routes) for route in more if not re.fullmatch(pattern, route.path)]
    return f"^(?:{'|'.join([pattern, *lacking])})$"


def _method_groups(routes: tuple[Route, ...]) -> list[tuple[tuple[str, ...], str, str]]:
    """(methods, pattern, format of errors: "" for backends' own) for each set of methods. Prefixes come first: httpd's
    last match wins."""

    def key(route: Route) -> tuple[bool, int, str, tuple[str, ...]]:
        form = "" if route.is_backend else route.provider_api or ("openai" if route.uses_openai_format else "ollama")
        return (not route.is_prefix, len(route.path) if route.is_prefix else 0, form, route.methods)

    groups = groupby(sorted(routes, key=key), key=key)
    return [(methods, path_pattern(tuple(members), routes), form) for (_, _, form, methods), members in groups]
