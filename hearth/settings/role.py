"""What a host does not run, according to its role, needs no settings. Pure rules."""

from __future__ import annotations

from typing import Any

from hearth.settings.model import Settings
from hearth.settings.pools import is_backend_name

# Neutral values, with which nothing is read, installed or checked for them. Inventories set them for all hosts at once,
# so they are ignored and not refused.
_WITHOUT_HTTPD: dict[str, Any] = {
    "proxy_host_names": (),
    "proxy_access": "anyone",
    "proxy_allowed_networks": (),
    "proxy_trusted_proxies": (),
    "proxy_users": {},
    "proxy_api_keys": {},
    "proxy_extra_routes": (),
    "proxy_providers": {},
    "proxy_max_streams_per_caller": 0,
    "metrics_access": "",
    "proxy_tls": "off",
    "ollama_pools": {},
    "host_virtual_address": "",
}
_WITHOUT_OLLAMA: dict[str, Any] = {
    "ollama_models": (),
    "ollama_model_variants": {},
    "ollama_preload": (),
    "ollama_prune_models": False,
    "ollama_models_dir": "",
    "ollama_publish": "",
    "ollama_allowed_networks": (),
    "ollama_publish_tls": False,
    "ollama_gpu": "off",
    "ollama_gpu_devices": (),
    "ollama_memory_limit": "",
}
_PORT = 11434


def without_unused(settings: Settings) -> Settings:
    """The settings without those of what this host does not run. A backend publishes its Ollama on all addresses: one
    of DHCP may not be there yet when Docker starts, and the firewall decides who may reach it."""
    if settings.host_role == "both":
        return settings
    if settings.host_role == "gateway":
        return settings.model_copy(update=_WITHOUT_OLLAMA)
    publish, port = settings.ollama_publish, settings.ollama_publish.rpartition(":")[2] or _PORT
    if not settings.publishes_ollama:
        publish = f"0.0.0.0:{port}"
    routes = tuple(route.model_copy(update={"access": ""}) for route in settings.proxy_routes)
    without = _WITHOUT_HTTPD | {"proxy_routes": routes, "ollama_publish": publish}
    if settings.ollama_publish_tls and any(map(is_backend_name, settings.proxy_tls_names)):
        # Of a release or a backup: hearth/settings/house.py has filled it in.
        del without["proxy_tls"]
    return settings.model_copy(update=without)
