"""What a model can do: one that answers questions is told from one that makes embeddings."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from typing import Any

from hearth.doctor.http_client import Endpoint, call

SHOW = "/api/show"
# What is left to judge by where `/api/show` is no route. The page has the same rule (files/htdocs/abilities.js).
_EMBEDS = re.compile("bert|embed", re.IGNORECASE)


def can_chat(way: Endpoint, model: Mapping[str, Any]) -> bool:
    """Whether a model of `/api/tags` answers questions, so that it can be asked one.

    Ollama says so itself: from 0.30 in the list of models, before in `/api/show`, which reads the model's file. Where
    neither says it, the model's architecture and name do.
    """
    known = _listed(model)
    if known is None:
        known = _shown(way, str(model.get("name", "")))
    if known is None:
        return not any(_EMBEDS.search(word) for word in _words(model))
    return "completion" in known


def _listed(document: Mapping[str, Any]) -> list[Any] | None:
    """The abilities; None where Ollama does not say any."""
    found = document.get("capabilities")
    return found if isinstance(found, list) and found else None


def _shown(way: Endpoint, name: str) -> list[Any] | None:
    try:
        answer = call(way, "POST", SHOW, {"model": name})
    except (OSError, http.client.HTTPException):
        return None
    document = answer.json() if answer.status == 200 else None
    return _listed(document) if isinstance(document, dict) else None


def _words(model: Mapping[str, Any]) -> list[str]:
    details = model.get("details")
    details = details if isinstance(details, dict) else {}
    families = details.get("families")
    families = families if isinstance(families, list) else []
    return [str(word) for word in (model.get("name"), details.get("family"), *families)]
