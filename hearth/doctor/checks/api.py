"""The API's quick questions: Ollama's version, and the models of the host."""

from __future__ import annotations

import http.client
from typing import Any

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes import port as port_causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.capabilities import can_chat
from hearth.doctor.checks.error_response import cause_of_status, in_words
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Answer
from hearth.models.names import full_name

VERSION = "/api/version"
TAGS = "/api/tags"


def failed(
    name: str, path: str, answer: Answer | Exception, way: Endpoint, *, was_up: bool = False, **more: object
) -> Step:
    """The step of a call that gave no success; the ones after it would fail in the same way."""
    target = way.target
    words = {"path": path, "host": target.host, "port": target.port, "url": target.url} | more
    if isinstance(answer, Answer):
        words |= {"status": answer.status, "what": in_words(answer), "location": answer.header("location")}
        words["opt_wrong"] = " What the doctor showed is not right." if way.authorization else ""
        words["retry_after"] = answer.header("retry-after") or "5"
        seen = f"{path}: {in_words(answer)}"
        cause = cause_of_status(answer, was_up=was_up)
        words["what"] = f'"{answer.error}"' if answer.error else in_words(answer)
        return Step(name, seen, (Finding(cause, seen, words),), {"status": answer.status}, ends=True)
    seen = f"{path}: no answer ({answer or type(answer).__name__})"
    cause = causes.OLLAMA_SILENT if isinstance(answer, TimeoutError) else port_causes.CLOSED_AT_ONCE
    return Step(name, seen, (Finding(cause, seen, words),), ends=True)


def _document(way: Endpoint, path: str, tries: int) -> tuple[Answer | Exception, dict[str, Any]]:
    try:
        answer = call(way, "GET", path, tries=tries)
    except (OSError, http.client.HTTPException) as error:
        return error, {}
    document = answer.json()
    return answer, document if answer.status == 200 and isinstance(document, dict) else {}


def check_version(way: Endpoint, tries: int) -> Step:
    """Which Ollama answers behind the proxy."""
    answer, document = _document(way, VERSION, tries)
    if "version" not in document:
        return failed("version", VERSION, answer, way)
    version = str(document["version"])
    return Step("version", f"Ollama {version} answers behind it", data={"ollama": version})


def check_models(way: Endpoint, wanted: str, tries: int) -> tuple[Step, str]:
    """The step, and the model to ask: the one that is wanted, else the smallest that answers questions.

    Where none does, the smallest, and the step's data say `"talks": False`; "" where there is no model to ask.
    """
    answer, document = _document(way, TAGS, tries)
    listed = document.get("models", ())
    # A server without models says null.
    models = [one for one in listed if isinstance(one, dict) and "name" in one] if isinstance(listed, list) else []
    if "models" not in document or (listed and not models):
        return failed("models", TAGS, answer, way), ""
    if not models:
        seen = "the list of models is empty"
        return Step("models", seen, (Finding(causes.NO_MODELS, seen),), {"models": []}, ends=True), ""
    sizes = {str(one["name"]): _bytes(one.get("size")) for one in models}
    names = ", ".join(f"{name} ({_shown(size)})" for name, size in sizes.items())
    data = {"models": [{"name": name, "bytes": size} for name, size in sizes.items()]}
    if wanted and full_name(wanted) not in {full_name(name) for name in sizes}:
        words = {"model": wanted, "models": ", ".join(sizes)}
        seen = f"{wanted} is not there; there are {names}"
        return Step("models", seen, (Finding(causes.MODEL_MISSING, seen, words),), data, ends=True), ""
    if wanted:
        return Step("models", names, data=data), wanted
    smallest_first = sorted(models, key=lambda one: sizes[str(one["name"])])
    for model in smallest_first:
        if can_chat(way, model):
            return Step("models", names, data=data), str(model["name"])
    seen = f"{names}; none of them answers questions, they are for embeddings"
    return Step("models", seen, data={**data, "talks": False}), str(smallest_first[0]["name"])


def size_of(model: str, models: Step) -> int:
    """Bytes of a model, by the step that listed them; 0 if unknown."""
    sizes = {full_name(one["name"]): one["bytes"] for one in models.data.get("models", ())}
    return int(sizes.get(full_name(model), 0))


def _bytes(size: object) -> int:
    return size if isinstance(size, int) else 0


def _shown(size: int) -> str:
    """A size as Ollama's own list shows it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
