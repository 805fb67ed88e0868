"""The step that takes the question's place on a host whose models all make embeddings."""

from __future__ import annotations

import http.client
from dataclasses import replace
from typing import Any

from hearth.doctor.checks.api import failed
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call

EMBED = "/api/embed"
# What the proxy says of a path that is none of its routes.
_NO_ROUTE = (404, 405)


def check_embedding(way: Endpoint, model: str, patience: float) -> Step:
    """Have a model make an embedding, where that is a route; where it is none, that is no fault of the host."""
    patient = replace(way, timeout=patience)
    try:
        answer = call(patient, "POST", EMBED, {"model": model, "input": "hello"})
    except (OSError, http.client.HTTPException) as error:
        return failed("prompt", EMBED, error, way, model=model)
    if answer.status in _NO_ROUTE:
        seen = f"not tried: no model here answers questions, and {EMBED} is not in `proxy_extra_routes`"
        return Step("prompt", seen, skipped=True)
    length = _length(answer.json()) if answer.status == 200 else 0
    if not length:
        return failed("prompt", EMBED, answer, way, was_up=True, model=model, models="ask `ollama list`")
    seen = f"no model here answers questions; {model} made an embedding of {length} numbers in {answer.seconds:.1f} s"
    return Step("prompt", seen, data={"model": model, "embedding": length})


def _length(document: Any) -> int:
    """How many numbers an answer's first embedding has."""
    try:
        return len(document["embeddings"][0])
    except (TypeError, KeyError, IndexError):
        return 0
