"""What a host's declared models can do, as its Ollama says it when asked from httpd's container."""

from __future__ import annotations

import json
from typing import Any

import docker

from hearth.paths import CONTAINERS

# One HTTP/1.0 request to Ollama: $1 path, $2 body. The end of the answer is the end of the connection.
_ASK = (
    'exec 3<>/dev/tcp/ollama/11434 && printf "POST %s HTTP/1.0\\r\\nHost: localhost\\r\\n'
    'Content-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" "$1" "${#2}" "$2" >&3 && cat <&3'
)


def ask_inside(engine: docker.DockerClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ollama's JSON answer to a POST from httpd's container."""
    words = ["bash", "-c", _ASK, "ask", path, json.dumps(body)]
    code, output = engine.containers.get(CONTAINERS["httpd"]).exec_run(words)
    assert isinstance(output, bytes)
    head, _, content = output.partition(b"\r\n\r\n")
    assert code == 0, (path, output)
    assert b" 200 " in head.splitlines()[0], (path, output)
    document: dict[str, Any] = json.loads(content)
    return document


def abilities(engine: docker.DockerClient, models: tuple[str, ...]) -> dict[str, list[str]]:
    """Model → `completion`, `embedding`, …; an Ollama that says nothing has models that talk."""
    return {
        model: ask_inside(engine, "/api/show", {"model": model}).get("capabilities", ["completion"]) for model in models
    }
