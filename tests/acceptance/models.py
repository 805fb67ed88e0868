"""Capabilities of a host's configured models, requested within its containers: no port has to be published."""

from __future__ import annotations

import json
from typing import Any

import docker

from hearth.paths import BACKENDS_PATH, CONTAINERS
from hearth.settings.model import Settings
from hearth.settings.pools import DEFAULT_POOL

# One HTTP/1.0 request: $1 path, $2 body, $3 address, $4 port. The response ends with the connection.
_REQUEST = (
    'exec 3<>"/dev/tcp/$3/$4" && printf "POST %s HTTP/1.0\\r\\nHost: localhost\\r\\n'
    'Content-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" "$1" "${#2}" "$2" >&3 && cat <&3'
)


def request_inside(engine: docker.DockerClient, settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON response of the host's Ollama to a POST; on a gateway, of the first backend in its default pool."""
    container, address, port = CONTAINERS["ollama"], "127.0.0.1", "11434"
    if not settings.runs_ollama:
        container, port = CONTAINERS["httpd"], "80"
        path = f"{BACKENDS_PATH}/{settings.ollama_pools[DEFAULT_POOL][0].name}{path}"
    elif settings.serves_page:
        container, address = CONTAINERS["httpd"], "ollama"
    words = ["bash", "-c", _REQUEST, "request", path, json.dumps(body), address, port]
    code, output = engine.containers.get(container).exec_run(words)
    assert isinstance(output, bytes)
    head, _, content = output.partition(b"\r\n\r\n")
    assert code == 0, (path, output)
    assert b" 200 " in head.splitlines()[0], (path, output)
    document: dict[str, Any] = json.loads(content)
    return document


def read_capabilities(engine: docker.DockerClient, settings: Settings, models: tuple[str, ...]) -> dict[str, list[str]]:
    """Model → `completion`, `embedding`, …; an Ollama that does not report them has chat models."""
    return {
        model: request_inside(engine, settings, "/api/show", {"model": model}).get("capabilities", ["completion"])
        for model in models
    }
