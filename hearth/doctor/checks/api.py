"""The API's quick requests: Ollama's version, and the models on the host."""

from __future__ import annotations

import http.client
from typing import Any

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes import port as port_causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.capabilities import can_chat
from hearth.doctor.checks.error_response import cause_of_status, summarize
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Response
from hearth.settings.model_names import full_name

VERSION = "/api/version"
TAGS = "/api/tags"


def failed_step(
    name: str, path: str, response: Response | Exception, endpoint: Endpoint, *, was_up: bool = False, **more: object
) -> Step:
    """The step of a failed request; the ones after it would fail in the same way."""
    target = endpoint.target
    values = {"path": path, "host": target.host, "port": target.port, "url": target.url} | more
    if isinstance(response, Response):
        values |= {"status": response.status, "what": summarize(response), "location": response.header("location")}
        values["opt_wrong"] = (
            " The host rejected the credential that the doctor sent." if endpoint.authorization else ""
        )
        values["retry_after"] = response.header("retry-after") or "5"
        observed = f"{path}: {summarize(response)}"
        cause = cause_of_status(response, was_up=was_up)
        values["what"] = f'"{response.error}"' if response.error else summarize(response)
        return Step(name, observed, (Finding(cause, observed, values),), {"status": response.status}, ends=True)
    observed = f"{path}: no response ({response or type(response).__name__})"
    cause = causes.OLLAMA_SILENT if isinstance(response, TimeoutError) else port_causes.CLOSED_AT_ONCE
    return Step(name, observed, (Finding(cause, observed, values),), ends=True)


def _document(endpoint: Endpoint, path: str, tries: int) -> tuple[Response | Exception, dict[str, Any]]:
    try:
        response = call(endpoint, "GET", path, tries=tries)
    except (OSError, http.client.HTTPException) as error:
        return error, {}
    document = response.json()
    return response, document if response.status == 200 and isinstance(document, dict) else {}


def check_version(endpoint: Endpoint, tries: int) -> Step:
    """The version of the Ollama behind the proxy."""
    response, document = _document(endpoint, VERSION, tries)
    if "version" not in document:
        return failed_step("version", VERSION, response, endpoint)
    version = str(document["version"])
    return Step("version", f"Ollama {version} responds through the proxy", data={"ollama": version})


def check_models(endpoint: Endpoint, requested: str, tries: int) -> tuple[Step, str]:
    """The step, and the model to prompt: the requested one, else the smallest that answers prompts.

    If none does, the smallest, and the step's data has `"talks": False`; "" if there is no model at all.
    """
    response, document = _document(endpoint, TAGS, tries)
    listed = document.get("models", ())
    # A server without models returns null.
    models = [one for one in listed if isinstance(one, dict) and "name" in one] if isinstance(listed, list) else []
    if "models" not in document or (listed and not models):
        return failed_step("models", TAGS, response, endpoint), ""
    if not models:
        observed = "the list of models is empty"
        return Step("models", observed, (Finding(causes.NO_MODELS, observed),), {"models": []}, ends=True), ""
    sizes = {str(one["name"]): _bytes(one.get("size")) for one in models}
    names = ", ".join(f"{name} ({_format_size(size)})" for name, size in sizes.items())
    data = {"models": [{"name": name, "bytes": size} for name, size in sizes.items()]}
    if requested and full_name(requested) not in {full_name(name) for name in sizes}:
        values = {"model": requested, "models": ", ".join(sizes)}
        observed = f"{requested} is missing; available: {names}"
        return Step("models", observed, (Finding(causes.MODEL_MISSING, observed, values),), data, ends=True), ""
    if requested:
        return Step("models", names, data=data), requested
    smallest_first = sorted(models, key=lambda one: sizes[str(one["name"])])
    for model in smallest_first:
        if can_chat(endpoint, model):
            return Step("models", names, data=data), str(model["name"])
    observed = f"{names}; all of them are embedding models"
    return Step("models", observed, data={**data, "talks": False}), str(smallest_first[0]["name"])


def model_size(model: str, models: Step) -> int:
    """Bytes of a model, from the step that listed the models; 0 if unknown."""
    sizes = {full_name(one["name"]): one["bytes"] for one in models.data.get("models", ())}
    return int(sizes.get(full_name(model), 0))


def _bytes(size: object) -> int:
    return size if isinstance(size, int) else 0


def _format_size(size: int) -> str:
    """A size in the format of `ollama list`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
