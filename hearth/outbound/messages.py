"""Explanations: what changes about the host's HTTP proxy. They contain no password."""

from __future__ import annotations

from hearth.outbound.files import ENGINE_FILES, Difference, OutboundState
from hearth.paths import OUTBOUND_OLLAMA
from hearth.settings.http_proxy import HttpProxy


def describe_difference(difference: Difference, state: OutboundState, proxy: HttpProxy | None) -> str:
    """What differs, and what restarts."""
    restarts = []
    if state.has_engine and set(difference.changed) & set(ENGINE_FILES):
        restarts.append("the Docker engine")
    if proxy and state.has_engine and OUTBOUND_OLLAMA in difference.changed:
        restarts.append("hearth-ollama")
    effect = f"; {' and '.join(restarts)} restart{'' if len(restarts) > 1 else 's'}" if restarts else ""
    if proxy is None:
        return f'host_http_proxy = "": removing the configuration of the proxy for apt, Docker and Ollama{effect}'
    if difference.changed:
        return f"host_http_proxy: configuring apt, Docker and Ollama for {proxy.address}{effect}"
    return "host_http_proxy: a directory of its files is missing or has the wrong owner or mode; correcting it"
