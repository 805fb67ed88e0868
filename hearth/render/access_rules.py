"""Access rules for httpd.conf: which paths have which access policy. Pure rules."""

from __future__ import annotations

from typing import Literal

from hearth.paths import METRICS_PATH
from hearth.settings.access import Access, parse_access
from hearth.settings.model import Settings
from hearth.settings.routes import own_paths

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
        form: Form = "backend" if not route.is_ollama else "openai" if route.uses_openai_format else "ollama"
        key = (settings.access_of(route), form)
        paths.setdefault(key, []).append(own_paths(route, settings.routes))
    if settings.metrics_access:
        paths.setdefault((parse_access(settings.metrics_access), "backend"), []).append(METRICS_PATH)
    return [(access, f"^(?:{'|'.join(patterns)})$", form) for (access, form), patterns in paths.items()]
