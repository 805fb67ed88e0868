"""The step that replaces the prompt on a host with embedding models only."""

from __future__ import annotations

import http.client
from dataclasses import replace
from typing import Any

from hearth.doctor.checks.api import failed_step
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call

EMBED = "/api/embed"
# The proxy's response for a path that is not a route.
_NO_ROUTE = (404, 405)


def check_embedding(endpoint: Endpoint, model: str, patience: float) -> Step:
    """Request an embedding. If that is not a route, the step is skipped, since the host is not at fault."""
    patient = replace(endpoint, timeout=patience)
    try:
        response = call(patient, "POST", EMBED, {"model": model, "input": "hello"})
    except (OSError, http.client.HTTPException) as error:
        return failed_step("prompt", EMBED, error, endpoint, model=model)
    if response.status in _NO_ROUTE:
        observed = f"skipped: all models are embedding models, and {EMBED} is not in `proxy_extra_routes`"
        return Step("prompt", observed, skipped=True)
    length = _length(response.json()) if response.status == 200 else 0
    if not length:
        return failed_step("prompt", EMBED, response, endpoint, was_up=True, model=model, models="see `ollama list`")
    observed = f"all models are embedding models; {model} returned {length} numbers in {response.seconds:.1f} s"
    return Step("prompt", observed, data={"model": model, "embedding": length})


def _length(document: Any) -> int:
    """The length of the first embedding in a response."""
    try:
        return len(document["embeddings"][0])
    except (TypeError, KeyError, IndexError):
        return 0
