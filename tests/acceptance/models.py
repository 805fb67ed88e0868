"""Capabilities of a host's configured models, requested from its Ollama in httpd's container."""

from __future__ import annotations

import json
from typing import Any

import docker

from hearth.paths import CONTAINERS

# One HTTP/1.0 request to Ollama: $1 path, $2 body. The response ends with the connection.
_REQUEST = (
    'exec 3<>/dev/tcp/ollama/11434 && printf "POST %s HTTP/1.0\\r\\nHost: localhost\\r\\n'
    'Content-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" "$1" "${#2}" "$2" >&3 && cat <&3'
)


def request_inside(engine: docker.DockerClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ollama's JSON response to a POST from httpd's container."""
    words = ["bash", "-c", _REQUEST, "request", path, json.dumps(body)]
    code, output = engine.containers.get(CONTAINERS["httpd"]).exec_run(words)
    assert isinstance(output, bytes)
    head, _, content = output.partition(b"\r\n\r\n")
    assert code == 0, (path, output)
    assert b" 200 " in head.splitlines()[0], (path, output)
    document: dict[str, Any] = json.loads(content)
    return document


def read_capabilities(engine: docker.DockerClient, models: tuple[str, ...]) -> dict[str, list[str]]:
    """Model → `completion`, `embedding`, …; an Ollama that does not report them has chat models."""
    return {
        model: request_inside(engine, "/api/show", {"model": model}).get("capabilities", ["completion"])
        for model in models
    }
