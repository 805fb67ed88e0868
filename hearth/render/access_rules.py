"""Access rules for httpd.conf: which paths have which access policy. Pure rules."""

from __future__ import annotations

from typing import Literal

from hearth.paths import METRICS_PATH
from hearth.settings.access import Access, parse_access
from hearth.settings.model import Settings
from hearth.settings.routes import Route, own_paths

# The format of errors: Ollama's, OpenAI's (its client library shows no other), a provider's, or a backend's own.
Form = Literal["ollama", "openai", "provider", "backend"]
# Access policy, a regular expression (PCRE) for paths, and the format of their errors.
AccessRule = tuple[Access, str, Form]


def find_access_rules(settings: Settings) -> list[AccessRule]:
    """One rule per access policy and error format, unless everything is open. No path matches two rules."""
    if all(access.anyone for access in settings.accesses):
        return []
    paths: dict[tuple[Access, Form], list[str]] = {}
    for route in settings.routes:
        key = (settings.access_of(route), _form_of(route))
        paths.setdefault(key, []).append(own_paths(route, settings.routes))
    if settings.metrics_access:
        paths.setdefault((parse_access(settings.metrics_access), "backend"), []).append(METRICS_PATH)
    return [(access, f"^(?:{'|'.join(patterns)})$", form) for (access, form), patterns in paths.items()]


def _form_of(route: Route) -> Form:
    if route.provider_api:
        return "provider"
    if route.is_backend:
        return "backend"
    return "openai" if route.uses_openai_format else "ollama"
