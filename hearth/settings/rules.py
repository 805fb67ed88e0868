"""Rules between settings. Each alone is valid already."""

from __future__ import annotations

from hearth.settings.model import Settings
from hearth.settings.routes import check_table
from hearth.settings.tls_rules import check_tls
from hearth.settings.types import duration_in_seconds


def check_settings(settings: Settings) -> None:
    """Refuse settings that can't work together.

    Raises:
        ValueError: naming the settings, their values, and what to write instead.
    """
    check_table(settings.proxy_routes + settings.proxy_extra_routes)
    _check_access(settings)
    if settings.ollama_publish.endswith(f":{settings.proxy_port}"):
        raise ValueError(
            f"proxy_port = {settings.proxy_port} and ollama_publish = {settings.ollama_publish!r} want the same port; "
            "give one of them another"
        )
    check_tls(settings)
    if settings.ollama_prune_models and not settings.ollama_models:
        raise ValueError(
            "ollama_prune_models = True and ollama_models = [] would remove every model; list those to keep, "
            "or set ollama_prune_models = False"
        )
    load_timeout = duration_in_seconds(settings.ollama_load_timeout)
    if load_timeout in (0, float("inf")):
        raise ValueError(
            f"ollama_load_timeout = {settings.ollama_load_timeout!r} lets Ollama wait for ever, which the proxy "
            'does not; "10m" would be right'
        )
    if load_timeout > settings.proxy_timeout:
        raise ValueError(
            f"proxy_timeout = {settings.proxy_timeout} gives up before ollama_load_timeout = "
            f"{settings.ollama_load_timeout!r} does; a proxy_timeout at least as long would be right"
        )


def _check_access(settings: Settings) -> None:
    """Refuse words for callers that do not exist, and callers that no word lets in: both are closed or open doors
    where somebody believes the opposite."""
    callers = {
        "networks": ("proxy_allowed_networks", bool(settings.proxy_allowed_networks)),
        "users": ("proxy_users", bool(settings.proxy_users)),
        "api_keys": ("proxy_api_keys", bool(settings.proxy_api_keys)),
    }
    for word, (setting, is_set) in callers.items():
        asked = any(getattr(access, word) for access in settings.accesses)
        if asked and not is_set:
            place = f"proxy_access = {settings.proxy_access!r}"
            if not getattr(settings.page_access, word):
                route = next(route for route in settings.routes if getattr(settings.access_of(route), word))
                place = f"{route.path}: access = {route.access!r}"
            raise ValueError(f"{place} asks for {word}, and {setting} is empty")
        if is_set and not asked:
            raise ValueError(
                f"{setting} is set, and nothing asks for {word}: proxy_access = {settings.proxy_access!r} lets in "
                f'without; proxy_access = "{"users or api_keys" if word == "api_keys" else word}" would be right, '
                f'or "access": "{word}" in a route'
            )
    page = settings.page_access
    if page.api_keys and not page.users and (page.both or not page.networks):
        raise ValueError(
            f"proxy_access = {settings.proxy_access!r}: the chat page can't send an API key, so nobody could use it; "
            '"users or api_keys" would be right, or "access": "api_keys" in single routes'
        )
    for route in settings.routes:
        if route.is_management and not settings.access_of(route).needs_sign_in:
            raise ValueError(
                f"{route.path}: {route.to} lets its callers change or fill this host, and "
                f'"{route.access or settings.proxy_access}" lets callers in who did not sign in; "access": "users" '
                'or "api_keys" in the route would be right. Or run it on the host: '
                "docker exec hearth-ollama ollama …"
            )
