"""Access rules for httpd.conf: which paths have which access policy. Pure rules."""

from __future__ import annotations

import re
from typing import Literal

from hearth.paths import METRICS_PATH
from hearth.settings.access import Access, parse_access
from hearth.settings.model import Settings
from hearth.settings.routes import Route

# The format of errors: Ollama's, OpenAI's (its client library shows no other), or a backend's.
Form = Literal["ollama", "openai", "backend"]
# Access policy, a regular expression (PCRE) for paths, and the format of their errors.
AccessRule = tuple[Access, str, Form]


def find_access_rules(settings: Settings) -> list[AccessRule]:
    """One rule per access policy and error format, unless everything is open. No path matches two rules."""
    if all(access.anyone for access in settings.accesses):
        return []
    paths: dict[tuple[Access, Form], list[str]] = {}
    for route in settings.routes:
        form: Form = "backend" if not route.is_ollama else "openai" if route.to.startswith("/v1/") else "ollama"
        key = (settings.access_of(route), form)
        paths.setdefault(key, []).append(_own_paths(route, settings.routes))
    if settings.metrics_access:
        paths.setdefault((parse_access(settings.metrics_access), "backend"), []).append(METRICS_PATH)
    return [(access, f"^(?:{'|'.join(patterns)})$", form) for (access, form), patterns in paths.items()]


def _own_paths(route: Route, routes: tuple[Route, ...]) -> str:
    """The paths of a route, without those of other routes below it."""
    if not route.is_prefix or route.is_upload:
        return route.pattern
    below = [other for other in routes if other is not route and other.path.startswith(route.path)]
    if not below:
        return route.pattern
    others = "|".join(
        other.pattern.removeprefix(re.escape(route.path)) + ("" if other.is_prefix else "$") for other in below
    )
    return f"{re.escape(route.path)}(?!{others}).*"
