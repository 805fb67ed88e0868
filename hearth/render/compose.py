"""Settings to `compose.yaml`."""

from __future__ import annotations

from typing import Any

import yaml

from hearth.paths import METRICS_PUBLIC, OUTBOUND_TARGET
from hearth.render.templates import environment
from hearth.settings.model import Settings
from hearth.settings.origins import ollama_origins


def render_compose(settings: Settings) -> str:
    """`compose.yaml` of the stack.

    Raises:
        ValueError: the rendered text is not a Compose file with Hearth's services.
    """
    text = (
        environment(html=False)
        .get_template("compose.yaml.j2")
        .render(
            **dict(settings),
            ollama_origins=ollama_origins(settings.allowed_origins),
            needs_host_gateway=settings.needs_host_gateway,
            has_secrets=settings.has_secrets,
            ipv4_only=settings.identifies_addresses,
            has_tls_files=settings.has_tls_files,
            metrics_public=METRICS_PUBLIC,
            preload=" ".join(settings.ollama_preload),
            total_slots=settings.total_slots + settings.provider_slots,
            tls_backends=settings.tls_backends,
            runs_ollama=settings.runs_ollama,
            runs_httpd=settings.runs_httpd,
            gateway_addresses=settings.gateway_addresses,
            uses_acme_proxy=settings.uses_acme_proxy,
            outbound_target=OUTBOUND_TARGET,
            serves_page=settings.serves_page,
        )
    )
    document: Any = yaml.safe_load(text)
    if set(document["services"]) != set(settings.images):
        raise ValueError(
            f"compose.yaml.j2 renders the services {sorted(document['services'])}, not {sorted(settings.images)}"
        )
    return text


def any_access(settings: Settings, word: str) -> bool:
    """Whether the access policy of the page or a route includes the word."""
    return any(getattr(access, word) for access in settings.accesses)
