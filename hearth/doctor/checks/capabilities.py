"""A model's capabilities: whether it answers prompts, or only computes embeddings."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from typing import Any

from hearth.doctor.http_client import Endpoint, call

SHOW = "/api/show"
# The fallback if `/api/show` is not a route. The page uses the same rule (files/htdocs/abilities.js).
_EMBEDDING_NAMES = re.compile("bert|embed", re.IGNORECASE)


def can_chat(endpoint: Endpoint, model: Mapping[str, Any]) -> bool:
    """Whether a model of `/api/tags` answers prompts.

    Ollama reports it: since 0.30 in the list of models, before that in `/api/show`, which reads the model's file.
    Otherwise the model's architecture and name decide.
    """
    known = _capabilities(model)
    if known is None:
        known = _from_show(endpoint, str(model.get("name", "")))
    if known is None:
        return not any(_EMBEDDING_NAMES.search(name) for name in _names(model))
    return "completion" in known


def _capabilities(document: Mapping[str, Any]) -> list[Any] | None:
    """The capabilities; None if Ollama does not report any."""
    found = document.get("capabilities")
    return found if isinstance(found, list) and found else None


def _from_show(endpoint: Endpoint, name: str) -> list[Any] | None:
    try:
        response = call(endpoint, "POST", SHOW, {"model": name})
    except (OSError, http.client.HTTPException):
        return None
    document = response.json() if response.status == 200 else None
    return _capabilities(document) if isinstance(document, dict) else None


def _names(model: Mapping[str, Any]) -> list[str]:
    details = model.get("details")
    details = details if isinstance(details, dict) else {}
    families = details.get("families")
    families = families if isinstance(families, list) else []
    return [str(name) for name in (model.get("name"), details.get("family"), *families)]
