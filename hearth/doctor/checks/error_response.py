"""What an error response means: from Hearth's proxy, from Ollama, or from something on the path."""

from __future__ import annotations

import re

from hearth.doctor.causes import ollama, origin, port
from hearth.doctor.causes.cause import Cause
from hearth.doctor.http_response import Response

# The same as in the chat page.
_MEMORY = re.compile(r"more system memory|out of memory|not enough memory|unable to allocate|failed to allocate", re.I)


def cause_of_error(error: str) -> Cause | None:
    """The cause for an error message of Ollama, with any status; None if it is unknown."""
    if re.search(r"model.*not found", error, re.I):
        return ollama.MODEL_MISSING
    if _MEMORY.search(error):
        return ollama.MEMORY_SHORT
    if re.search(r"does not support (generate|chat)", error, re.I):
        return ollama.MODEL_UNFIT
    if re.search(r"server busy|maximum pending", error, re.I):
        return ollama.QUEUE_FULL
    if re.search(
        r"runner process|runner terminated|while running the model|unexpectedly stopped|resource limitations|"
        r"timed out waiting for llama runner",
        error,
        re.I,
    ):
        return ollama.RUNNER_DIED
    return None


def cause_of_status(response: Response, *, was_up: bool = False) -> Cause:
    """The cause for an unsuccessful response.

    Args:
        was_up: Ollama responded a moment ago, so a 503 means "busy", not "down".
    """
    error = response.error
    if known := cause_of_error(error):
        return known
    match response.status:
        case 403 if not response.body.strip():
            return origin.OLLAMA_REFUSES_ORIGIN
        case 403 if "origin not allowed" in error:
            return origin.ORIGIN_NOT_LISTED
        case 403 if "address not allowed" in error:
            return port.ADDRESS_NOT_LISTED
        case 401 if 'realm="Hearth"' in response.header("www-authenticate"):
            return port.SIGN_IN
        case 404 | 405:
            return ollama.ROUTE_MISSING
        case 411:
            return ollama.LENGTH_TAKEN
        case 421:
            return port.HOST_NAME_NOT_SERVED
        case 500 if "does not resolve" in error:
            return ollama.OLLAMA_MISSING
        case 502 if error:
            return ollama.OLLAMA_SILENT
        case 503 if error:
            return ollama.BUSY if was_up else ollama.OLLAMA_DOWN
        case 401 | 403 | 407 | 502 | 503 | 504:
            return ollama.BETWEEN_FAILS
        case status if 200 <= status < 300:
            return ollama.NOT_OLLAMA
        case status if 300 <= status < 400:
            return port.REDIRECTED
    return ollama.SERVER_FAILED


def summarize(response: Response) -> str:
    """Status and text of a response, in one line."""
    text = re.sub(
        r"<(script|style|title)\b.*?</\1>|<[^>]*>", " ", response.body[:4000].decode(errors="replace"), flags=re.S
    )
    text = " ".join((response.error or text).split())
    return f'status {response.status}, "{text[:200]}"' if text else f"status {response.status}, empty"
